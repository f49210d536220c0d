# tests/fuzz/fuzz_*.c: with PST_FUZZ each is a libFuzzer program. Otherwise each gets a plain main that
# replays its corpus with deterministic mutations, and a CTest entry (label fuzz).
# fuzz_<module>.c and fuzz_<module>_<what>.c link that module; any other name links everything.
set(pst_fuzz_dir "${PROJECT_SOURCE_DIR}/tests/fuzz")

function(pst_fuzz_program source)
  get_filename_component(stem "${source}" NAME_WE)
  string(REGEX REPLACE "^fuzz_" "" name ${stem})
  string(REGEX REPLACE "_.*" "" topic ${name})
  pst_topic_libs(libs ${topic} "${source}")
  add_executable(${stem} "${source}")
  target_include_directories(${stem} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  target_link_libraries(${stem} PRIVATE pst_hosted ${libs} PkgConfig::PST_CMOCKA)
  set_target_properties(${stem} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
  if(PST_FUZZ)
    target_link_options(${stem} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${stem} PRIVATE "${pst_fuzz_dir}/standalone.c")
    add_test(NAME fuzz.${name} COMMAND ${stem} fuzz/corpus/${name} fuzz/regress/${name}
             WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}/tests")
    set_tests_properties(fuzz.${name} PROPERTIES TIMEOUT 120 LABELS fuzz)
  endif()
endfunction()

file(GLOB sources CONFIGURE_DEPENDS "${pst_fuzz_dir}/fuzz_*.c")
foreach(source IN LISTS sources)
  pst_fuzz_program("${source}")
endforeach()
