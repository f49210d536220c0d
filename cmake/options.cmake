# The parts to build. As a subproject, or for firmware, only the core is built by default.
set(pst_whole ${PROJECT_IS_TOP_LEVEL})
if(CMAKE_SYSTEM_NAME STREQUAL "Generic")
  set(pst_whole OFF)
endif()

# pst_part(<option> <option it depends on> <text>): on by default in a full build.
function(pst_part option needs text)
  set(default OFF)
  if(pst_whole AND ${needs})
    set(default ON)
  endif()
  option(${option} "${text}" ${default})
  if(${option} AND NOT ${needs})
    message(FATAL_ERROR "Postern: ${option}=ON needs ${needs}=ON")
  endif()
endfunction()

option(PST_CORE_ONLY "Build the core and nothing else: needs no library" OFF)
if(PST_CORE_ONLY)
  set(PST_OPENSSL OFF)
  set(PST_POSIX OFF)
  set(PST_TOOLS OFF)
else()
  pst_part(PST_OPENSSL "1" "Build the OpenSSL port (libcrypto 3)")
  pst_part(PST_POSIX PST_OPENSSL "Build the POSIX port (libuv, inih, jansson)")
  pst_part(PST_TOOLS PST_POSIX "Build the postern command (popt)")
endif()
option(PST_INSTALL "Make install rules" ${PROJECT_IS_TOP_LEVEL})
option(PST_SANITIZE "AddressSanitizer and UndefinedBehaviorSanitizer, no recovery" OFF)
option(PST_FUZZ "Build only the fuzz targets, with libFuzzer (needs clang)" OFF)

# Tests need all parts. They are not built in a subproject.
set(PST_TESTS OFF)
if(PROJECT_IS_TOP_LEVEL AND PST_TOOLS)
  option(BUILD_TESTING "Build the tests" ON)
  set(PST_TESTS ${BUILD_TESTING})
endif()
# Warnings are errors only for developers of Postern: a newer compiler may have new warnings.
option(PST_WERROR "Warnings are errors" ${PST_TESTS})

# Sizes that change public structs, so callers must use them too. Empty: the default of the header.
set(pst_sizes "")
foreach(size IN ITEMS PST_SPDM_SESSIONS PST_HASH_BYTES PST_AEAD_BYTES PST_DH_KEY_BYTES
                      PST_PUBLIC_KEY_BYTES PST_TARGET_LINKS)
  set(${size} "" CACHE STRING "A size, see include/postern; empty: the default")
  if(NOT "${${size}}" STREQUAL "")
    list(APPEND pst_sizes ${size}=${${size}})
  endif()
endforeach()
