# Targets tidy and cppcheck. Each source has a stamp file and is checked again when it, any header
# or the list of checks has changed. `ninja -k 0 tidy cppcheck` shows every finding.
find_program(CLANG_TIDY NAMES clang-tidy-14 clang-tidy)
find_program(CPPCHECK cppcheck)
set(pst_root "${PROJECT_SOURCE_DIR}")
file(GLOB_RECURSE sources CONFIGURE_DEPENDS RELATIVE "${pst_root}" "${pst_root}/src/*.c"
     "${pst_root}/port/*.c" "${pst_root}/tools/*.c")
file(GLOB_RECURSE headers CONFIGURE_DEPENDS "${pst_root}/include/*.h" "${pst_root}/src/*.h"
     "${pst_root}/port/*.h" "${pst_root}/tools/*.h")

# pst_lint(<target> COMMAND <command>... DEPENDS <file>...): runs the command on each source.
function(pst_lint target)
  cmake_parse_arguments(arg "" "" "COMMAND;DEPENDS" ${ARGN})
  set(stamps "")
  foreach(source IN LISTS sources)
    set(stamp "${PROJECT_BINARY_DIR}/${target}/${source}.stamp")
    get_filename_component(directory "${stamp}" DIRECTORY)
    file(MAKE_DIRECTORY "${directory}")
    add_custom_command(
      OUTPUT "${stamp}"
      COMMAND ${arg_COMMAND} "${source}"
      COMMAND ${CMAKE_COMMAND} -E touch "${stamp}"
      DEPENDS "${pst_root}/${source}" ${headers} ${arg_DEPENDS}
      WORKING_DIRECTORY "${pst_root}"
      COMMENT "${target} ${source}"
      VERBATIM)
    list(APPEND stamps "${stamp}")
  endforeach()
  add_custom_target(${target} DEPENDS ${stamps})
endfunction()

if(CLANG_TIDY)
  pst_lint(tidy
    COMMAND "${CLANG_TIDY}" --quiet -p "${PROJECT_BINARY_DIR}"
            --extra-arg=-Wno-unknown-warning-option
    DEPENDS "${pst_root}/.clang-tidy" "${pst_root}/src/.clang-tidy")
endif()
# internalAstError: cppcheck 2.10 cannot read a compound literal after a question mark.
if(CPPCHECK)
  pst_lint(cppcheck
    COMMAND "${CPPCHECK}" --quiet --std=c11 --enable=warning,portability --inline-suppr
            --suppress=internalAstError --error-exitcode=1 -I include -I src -I . -I port)
endif()
