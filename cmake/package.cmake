# The libraries for other projects, by find_package, pkg-config or add_subdirectory: one archive for
# the core and one for each port. Targets: Postern::core, Postern::openssl and Postern::posix.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(pst_config_dir "${CMAKE_INSTALL_LIBDIR}/cmake/Postern")
set(pst_includedir "${CMAKE_INSTALL_INCLUDEDIR}")

# The prefix in a .pc file is relative to the file, so that an installation can be moved.
set(pst_pc_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
if(IS_ABSOLUTE "${pst_pc_dir}")
  set(PC_PREFIX "${CMAKE_INSTALL_PREFIX}")
  set(PC_LIBDIR "${CMAKE_INSTALL_LIBDIR}")
else()
  file(RELATIVE_PATH up "/${pst_pc_dir}" "/")
  string(REGEX REPLACE "/$" "" PC_PREFIX "\${pcfiledir}/${up}")
  set(PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()
set(PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
if(IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  set(PC_INCLUDEDIR "${CMAKE_INSTALL_INCLUDEDIR}")
endif()

# pst_package(<name> TITLE <text> OBJECTS <library>... DIR <of the headers> INCLUDE <where they go>
# LINKS <target>... REQUIRES <module of pkg-config>... CFLAGS <flag>...)
function(pst_package name)
  cmake_parse_arguments(arg "" "TITLE;DIR;INCLUDE" "OBJECTS;LINKS;REQUIRES;CFLAGS" ${ARGN})
  set(target postern_${name})
  add_library(${target} STATIC)
  add_library(Postern::${name} ALIAS ${target})
  foreach(part IN LISTS arg_OBJECTS)
    get_target_property(type ${part} TYPE)
    if(type STREQUAL "STATIC_LIBRARY")
      target_sources(${target} PRIVATE $<TARGET_OBJECTS:${part}>)
    endif()
  endforeach()
  target_include_directories(${target} INTERFACE "$<BUILD_INTERFACE:${arg_DIR}>"
                                                 "$<INSTALL_INTERFACE:${arg_INCLUDE}>")
  target_link_libraries(${target} INTERFACE ${arg_LINKS})
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE C OUTPUT_NAME postern-${name}
                                             EXPORT_NAME ${name})
  if(NOT PST_INSTALL)
    return()
  endif()

  install(TARGETS ${target} EXPORT Postern_${name} ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
          COMPONENT dev)
  install(EXPORT Postern_${name} NAMESPACE Postern:: FILE Postern_${name}.cmake
          DESTINATION "${pst_config_dir}" COMPONENT dev)
  set(PC_NAME postern-${name})
  set(PC_TITLE "${arg_TITLE}")
  string(REPLACE ";" ", " PC_REQUIRES "${arg_REQUIRES}")
  string(REPLACE ";" " " PC_CFLAGS "${arg_CFLAGS}")
  configure_file("${PROJECT_SOURCE_DIR}/packaging/postern.pc.in" "${PC_NAME}.pc" @ONLY)
  install(FILES "${CMAKE_CURRENT_BINARY_DIR}/${PC_NAME}.pc" DESTINATION "${pst_pc_dir}"
          COMPONENT dev)
endfunction()

# pst_port_headers(<port> <folder or file>...): installs the public headers of port/<port>. They go
# under postern/, so that they do not hide another project's <openssl/...>.
function(pst_port_headers port)
  if(NOT PST_INSTALL)
    return()
  endif()
  foreach(header IN LISTS ARGN)
    get_filename_component(dir "${header}" DIRECTORY)
    install(FILES "${PROJECT_SOURCE_DIR}/port/${port}/${header}"
            DESTINATION "${pst_includedir}/postern/port/${port}/${dir}" COMPONENT dev)
  endforeach()
endfunction()

list(TRANSFORM pst_sizes PREPEND "-D" OUTPUT_VARIABLE cflags)
pst_package(core TITLE "Secure remote debug: the core, for firmware and hosts"
            OBJECTS ${pst_all_modules}
            DIR "${PROJECT_SOURCE_DIR}/include" INCLUDE "${pst_includedir}"
            CFLAGS "-I\${includedir}" ${cflags})
target_compile_definitions(postern_core INTERFACE ${pst_sizes})
if(PST_INSTALL)
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/postern" DESTINATION "${pst_includedir}"
          COMPONENT dev FILES_MATCHING PATTERN "*.h")
endif()

if(PST_OPENSSL)
  pst_package(openssl TITLE "Secure remote debug: keys and certificates by OpenSSL"
              OBJECTS pst_openssl LINKS postern_core OpenSSL::Crypto
              DIR "${PROJECT_SOURCE_DIR}/port" INCLUDE "${pst_includedir}/postern/port"
              REQUIRES postern-core "libcrypto >= 3.0" CFLAGS "-I\${includedir}/postern/port")
  pst_port_headers(openssl openssl_port.h pki.h)
endif()

if(PST_POSIX)
  set(links PkgConfig::PST_UV PkgConfig::PST_INIH PkgConfig::PST_JANSSON)
  set(requires libuv inih jansson)
  set(POSIX_MODULES UV libuv INIH inih JANSSON jansson) # for PosternConfig.cmake
  foreach(pair IN ITEMS MOSQUITTO:libmosquitto LIBUSB:libusb-1.0)
    string(REGEX MATCH "(.*):(.*)" pair "${pair}")
    if(PST_${CMAKE_MATCH_1}_FOUND)
      list(APPEND links PkgConfig::PST_${CMAKE_MATCH_1})
      list(APPEND requires ${CMAKE_MATCH_2})
      list(APPEND POSIX_MODULES ${CMAKE_MATCH_1} ${CMAKE_MATCH_2})
    endif()
  endforeach()
  pst_package(posix TITLE "Secure remote debug: targets, debuggers, links and bridges on POSIX"
              OBJECTS pst_posix LINKS postern_openssl ${links}
              DIR "${PROJECT_SOURCE_DIR}/port" INCLUDE "${pst_includedir}/postern/port"
              REQUIRES postern-openssl ${requires} CFLAGS "-I\${includedir}/postern/port")
  pst_port_headers(posix
                   bridge/bridge.h bridge/pcapng.h
                   host/audit_file.h host/debugger_host.h host/file_memory.h host/process.h
                   host/stub_host.h host/supervisor.h host/target_config.h host/target_host.h
                   links/table.h
                   loop/address.h loop/carrier.h loop/carrier_reliable.h loop/link.h)
endif()

if(PST_INSTALL)
  configure_package_config_file(
    "${PROJECT_SOURCE_DIR}/packaging/PosternConfig.cmake.in" PosternConfig.cmake
    INSTALL_DESTINATION "${pst_config_dir}"
    NO_SET_AND_CHECK_MACRO)
  write_basic_package_version_file(PosternConfigVersion.cmake COMPATIBILITY SameMinorVersion)
  install(FILES "${CMAKE_CURRENT_BINARY_DIR}/PosternConfig.cmake"
                "${CMAKE_CURRENT_BINARY_DIR}/PosternConfigVersion.cmake"
          DESTINATION "${pst_config_dir}" COMPONENT dev)
endif()
