# pst_options: compile options of all objects.
# pst_hosted:  the same plus POSIX, for ports, tools, tests and benchmarks; never for the core.
add_library(pst_options INTERFACE)
target_include_directories(pst_options INTERFACE "${PROJECT_SOURCE_DIR}/include"
                                                 "${PROJECT_SOURCE_DIR}/src")
target_compile_definitions(pst_options INTERFACE ${pst_sizes})
target_link_libraries(pst_options INTERFACE pst_warnings)

# A compiler without a C library lacks string.h, the only header of it that the core needs.
include(CheckIncludeFile)
check_include_file(string.h PST_HAVE_STRING_H)
if(NOT PST_HAVE_STRING_H)
  target_include_directories(pst_options SYSTEM INTERFACE "${PROJECT_SOURCE_DIR}/bench/size")
endif()

set(pst_sanitizers -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
if(PST_SANITIZE OR PST_FUZZ)
  target_compile_options(pst_options INTERFACE ${pst_sanitizers})
  target_link_options(pst_options INTERFACE ${pst_sanitizers})
endif()
if(PST_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "PST_FUZZ needs clang; use the fuzz preset")
  endif()
  target_compile_options(pst_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

add_library(pst_hosted INTERFACE)
target_link_libraries(pst_hosted INTERFACE pst_options)
target_compile_definitions(pst_hosted INTERFACE _POSIX_C_SOURCE=200809L _FILE_OFFSET_BITS=64)
target_include_directories(pst_hosted INTERFACE "${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/port")

set(pst_all_modules "")
set(pst_all_ports "")

# Imported targets are global, because projects that link a port need them too.
function(pst_find_openssl)
  if(NOT TARGET OpenSSL::Crypto)
    find_package(OpenSSL 3.0 REQUIRED COMPONENTS Crypto)
    set_target_properties(OpenSSL::Crypto PROPERTIES IMPORTED_GLOBAL TRUE)
  endif()
endfunction()

# pst_find(<name> <pkg-config module>): makes the target PkgConfig::PST_<name>.
macro(pst_find name module)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(PST_${name} REQUIRED IMPORTED_TARGET GLOBAL ${module})
endmacro()

# The same for an optional library of the POSIX port. If it is found, PST_WITH_<name> is defined.
macro(pst_find_optional name module)
  pkg_check_modules(PST_${name} IMPORTED_TARGET GLOBAL ${module})
  if(PST_${name}_FOUND)
    target_link_libraries(pst_posix PUBLIC PkgConfig::PST_${name})
    target_compile_definitions(pst_posix PRIVATE PST_WITH_${name})
  endif()
endmacro()

# Makes a static library, or an interface library if there are no sources.
function(pst_library target options)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS;LIBS" ${ARGN})
  list(TRANSFORM arg_DEPS PREPEND pst_)
  if(arg_SOURCES)
    add_library(${target} STATIC ${arg_SOURCES})
    if(NOT PROJECT_IS_TOP_LEVEL)
      set_target_properties(${target} PROPERTIES EXCLUDE_FROM_ALL ON)
    endif()
    target_link_libraries(${target} PRIVATE ${options} PUBLIC ${arg_DEPS} ${arg_LIBS})
  else()
    add_library(${target} INTERFACE)
    target_link_libraries(${target} INTERFACE ${arg_DEPS} ${arg_LIBS})
  endif()
endfunction()

# pst_module(<name> DEPS <module>...): builds pst_<name> from src/<name>/**.c.
function(pst_module name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/${name}/*.c")
  pst_library(pst_${name} pst_options SOURCES ${sources} ${ARGN})
  # Highest module first, so that the linker resolves static libraries in this order.
  set(pst_all_modules pst_${name} ${pst_all_modules} PARENT_SCOPE)
endfunction()

# pst_port(<name> DEPS <module>... LIBS <library>...): builds pst_<name> from port/<name>/**.c.
function(pst_port name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/port/${name}/*.c")
  pst_library(pst_${name} pst_hosted SOURCES ${sources} ${ARGN})
  set(pst_all_ports pst_${name} ${pst_all_ports} PARENT_SCOPE)
endfunction()

# The libraries of a test, fuzz target or benchmark of <topic>. A topic with the name of a module
# links that module, its dependencies and the OpenSSL port, so that it builds while an unrelated
# module is broken. Any other topic links everything. A source may ask for more: "pst-link: ts dts"
# or "pst-link: all" in a comment (run cmake again after changing it).
function(pst_topic_libs out topic source)
  file(STRINGS "${source}" ask REGEX "pst-link:" LIMIT_COUNT 1)
  string(REGEX REPLACE ".*pst-link:([a-z0-9_ ]*).*" "\\1" ask "${ask}")
  string(REGEX MATCHALL "[a-z0-9_]+" ask "${ask}")
  set(libs "")
  foreach(name IN LISTS topic ask)
    if("pst_${name}" IN_LIST pst_all_modules OR "pst_${name}" IN_LIST pst_all_ports)
      list(APPEND libs pst_${name})
    else()
      set(libs ${pst_all_ports} ${pst_all_modules})
      break()
    endif()
  endforeach()
  # The tests of ts and dts run both ends against each other.
  if("pst_ts" IN_LIST libs OR "pst_dts" IN_LIST libs)
    list(PREPEND libs pst_ts pst_dts)
  endif()
  list(PREPEND libs pst_openssl)
  set(${out} ${libs} PARENT_SCOPE)
endfunction()

# If two topics have a file of the same name, the topic is added to the name of the second target.
function(pst_target_name out topic stem)
  if(TARGET ${stem} OR stem MATCHES "^(all|test|help|clean|install|package)$")
    set(stem ${topic}_${stem})
  endif()
  set(${out} ${stem} PARENT_SCOPE)
endfunction()
