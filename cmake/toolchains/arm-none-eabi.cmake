# GCC for Cortex-M: cmake --toolchain cmake/toolchains/arm-none-eabi.cmake -DPST_CPU=cortex-m3
# Firmware programs cannot run on the host, so CMake tests the compiler by building a static
# library. A C library is not needed.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(PST_CPU cortex-m3 CACHE STRING "The core that code is made for")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES PST_CPU)

set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_C_FLAGS_INIT
    "-mcpu=${PST_CPU} -mthumb -ffreestanding -ffunction-sections -fdata-sections")

set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
