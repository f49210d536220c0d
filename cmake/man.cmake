# docs/man/<page>.<section>.scd becomes man/<page>.<section> in the build directory.
find_program(SCDOC scdoc)
file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/docs/man/*.scd")
set(pages "")
if(SCDOC)
  foreach(source IN LISTS sources)
    get_filename_component(name "${source}" NAME)
    string(REGEX REPLACE "\\.scd$" "" name "${name}")
    set(page "${PROJECT_BINARY_DIR}/man/${name}")
    add_custom_command(
      OUTPUT "${page}"
      COMMAND ${CMAKE_COMMAND} -E make_directory "${PROJECT_BINARY_DIR}/man"
      COMMAND "${SCDOC}" < "${source}" > "${page}"
      DEPENDS "${source}"
      VERBATIM)
    list(APPEND pages "${page}")
  endforeach()
else()
  message(STATUS "scdoc not found: man pages are not built")
endif()
if(pages)
  add_custom_target(postern_man ALL DEPENDS ${pages})
  if(PST_INSTALL)
    install(FILES ${pages} DESTINATION "${CMAKE_INSTALL_MANDIR}/man1" COMPONENT tools)
  endif()
endif()
