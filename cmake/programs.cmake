# tools/*.c is one program, postern. Each bench/*.c is a program. So is each bench/links/*.c; these
# take arguments.
file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tools/*.c")
if(sources)
  add_executable(postern ${sources})
  target_link_libraries(postern PRIVATE pst_hosted ${pst_all_ports} ${pst_all_modules}
                                        PkgConfig::PST_POPT)
  if(PST_INSTALL)
    install(TARGETS postern RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT tools)
    install(FILES "${PROJECT_SOURCE_DIR}/packaging/completion/postern"
            DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions" COMPONENT tools)
    install(FILES "${PROJECT_SOURCE_DIR}/packaging/completion/_postern"
            DESTINATION "${CMAKE_INSTALL_DATADIR}/zsh/site-functions" COMPONENT tools)
  endif()
endif()

# Benchmarks. They are not built with sanitizers, as the results would be meaningless.
if(PST_TESTS AND NOT PST_SANITIZE)
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/bench/*.c"
       "${PROJECT_SOURCE_DIR}/bench/links/*.c")
  foreach(source IN LISTS sources)
    get_filename_component(stem "${source}" NAME_WE)
    file(RELATIVE_PATH place "${PROJECT_SOURCE_DIR}" "${source}")
    get_filename_component(place "${place}" DIRECTORY)
    pst_topic_libs(libs bench "${source}")
    pst_target_name(target bench ${stem})
    add_executable(${target} "${source}")
    target_compile_options(${target} PRIVATE -O2)
    target_link_libraries(${target} PRIVATE pst_hosted ${libs})
    set_target_properties(
      ${target} PROPERTIES OUTPUT_NAME ${stem} RUNTIME_OUTPUT_DIRECTORY
                                               "${PROJECT_BINARY_DIR}/${place}")
  endforeach()
endif()
