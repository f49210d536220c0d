# GCC for 32-bit RISC-V: cmake --toolchain cmake/toolchains/riscv32.cmake -DPST_ARCH=rv32imac
# Firmware programs cannot run on the host, so CMake tests the compiler by building a static
# library. A C library is not needed.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR riscv32)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(PST_ARCH rv32imac CACHE STRING "The instruction set that code is made for")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES PST_ARCH)

find_program(PST_RISCV_GCC NAMES riscv32-unknown-elf-gcc riscv64-unknown-elf-gcc REQUIRED)
set(CMAKE_C_COMPILER "${PST_RISCV_GCC}")
set(CMAKE_C_FLAGS_INIT
    "-march=${PST_ARCH} -mabi=ilp32 -ffreestanding -ffunction-sections -fdata-sections")

set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
