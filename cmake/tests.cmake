# tests/<topic>/**/test_*.c: each is a program and a CTest entry (label fast).
# tests/<topic>/**/*.c otherwise: each is a program, in the same directory.
# tests/<topic>/parts/*.c: linked into each program of the topic.
# tests/**/test_*.sh: each is a CTest entry (label e2e). Exit code 77 means skipped.
# tests/package: sample programs of users. The scripts build them against the installed files of
# this build; not if it is a sanitizer build, as users do not get that.
set(pst_tests_dir "${PROJECT_SOURCE_DIR}/tests")

function(pst_test_program topic source)
  get_filename_component(stem "${source}" NAME_WE)
  pst_target_name(target ${topic} ${stem})
  pst_topic_libs(libs ${topic} "${source}")
  file(GLOB parts CONFIGURE_DEPENDS "${pst_tests_dir}/${topic}/parts/*.c")
  add_executable(${target} "${source}" ${parts})
  target_include_directories(${target} PRIVATE "${pst_tests_dir}")
  target_link_libraries(${target} PRIVATE pst_hosted ${libs} PkgConfig::PST_JANSSON PkgConfig::PST_CMOCKA)
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY
                                             "${PROJECT_BINARY_DIR}/tests")
  if(stem MATCHES "^test_")
    string(REGEX REPLACE "^test_" "" short ${stem})
    add_test(NAME ${topic}.${short} COMMAND ${target} WORKING_DIRECTORY "${pst_tests_dir}")
    set_tests_properties(${topic}.${short} PROPERTIES TIMEOUT 120 LABELS fast)
  endif()
endfunction()

function(pst_test_script source)
  file(RELATIVE_PATH name "${pst_tests_dir}" "${source}")
  string(REGEX REPLACE "\\.sh$" "" name "${name}")
  string(REGEX REPLACE "test_([^/]*)$" "\\1" name "${name}")
  string(REPLACE "/" "." name "e2e.${name}")
  add_test(NAME ${name} COMMAND bash "${source}" WORKING_DIRECTORY "${pst_tests_dir}")
  set_tests_properties(
    ${name}
    PROPERTIES TIMEOUT 300
               LABELS e2e
               SKIP_RETURN_CODE 77
               ENVIRONMENT
               "POSTERN=${PROJECT_BINARY_DIR}/postern;BUILD=${PROJECT_BINARY_DIR};SRC=${PROJECT_SOURCE_DIR}"
  )
endfunction()

file(GLOB_RECURSE sources CONFIGURE_DEPENDS RELATIVE "${pst_tests_dir}" "${pst_tests_dir}/*/*.c")
foreach(source IN LISTS sources)
  string(REGEX REPLACE "/.*" "" topic "${source}")
  if(NOT topic MATCHES "^(fuzz|package)$" AND NOT source MATCHES "/parts/")
    pst_test_program(${topic} "${pst_tests_dir}/${source}")
  endif()
endforeach()

if(TARGET replay)
  add_test(NAME replay.vectors COMMAND replay vectors WORKING_DIRECTORY "${pst_tests_dir}")
  set_tests_properties(replay.vectors PROPERTIES TIMEOUT 120 LABELS fast)
endif()

file(GLOB_RECURSE scripts CONFIGURE_DEPENDS "${pst_tests_dir}/test_*.sh")
if(PST_SANITIZE)
  list(FILTER scripts EXCLUDE REGEX "/tests/package/")
endif()
foreach(script IN LISTS scripts)
  pst_test_script("${script}")
endforeach()

# The rules of the house: which file may use which (tests/house/rules.py), and the limits of the
# core on a processor without an operating system.
find_program(PYTHON3 python3)
if(PYTHON3)
  foreach(machine cortex-m3 rv32)
    add_test(NAME house.${machine} COMMAND ${PYTHON3} "${pst_tests_dir}/house/core.py" ${machine})
    set_tests_properties(house.${machine} PROPERTIES TIMEOUT 300 LABELS house SKIP_RETURN_CODE 77)
  endforeach()
  add_test(NAME house.rules COMMAND ${PYTHON3} "${pst_tests_dir}/house/check.py" --build
                                    "${PROJECT_BINARY_DIR}")
  add_test(NAME house.self-test COMMAND ${PYTHON3} "${pst_tests_dir}/house/check.py" --build
                                        "${PROJECT_BINARY_DIR}" --self-test)
  set_tests_properties(house.rules house.self-test PROPERTIES TIMEOUT 300 LABELS house)
endif()

# Builds examples/firmware for microcontrollers and checks what the headers and the example promise.
if(PYTHON3)
  set(firmware_dir "${pst_tests_dir}/firmware")
  foreach(target cortex-m3 rv32)
    add_test(NAME cross.${target} COMMAND ${PYTHON3} "${firmware_dir}/cross.py" ${target})
    set_tests_properties(cross.${target} PROPERTIES TIMEOUT 300 LABELS cross SKIP_RETURN_CODE 77)
  endforeach()
  add_test(NAME firmware.example COMMAND ${PYTHON3} "${firmware_dir}/example.py")
  add_test(NAME firmware.programs COMMAND ${PYTHON3} "${firmware_dir}/programs.py"
                                          ${CMAKE_C_COMPILER})
  set_tests_properties(firmware.example firmware.programs PROPERTIES TIMEOUT 120 LABELS fast)
  set_tests_properties(cross.cortex-m3 cross.rv32 firmware.example firmware.programs
                       PROPERTIES ENVIRONMENT "SRC=${PROJECT_SOURCE_DIR}")
endif()
