# The one list of warnings. Link pst_warnings to get it. Lines for people are cut by snprintf on
# purpose, and what GCC thinks of that changes with the level of optimisation: so not that one.
# Clang's -Wconversion asks about !"text", which is how a check says why it fails.
add_library(pst_warnings INTERFACE)
target_compile_options(
  pst_warnings
  INTERFACE -Wall
            -Wextra
            -Wpedantic
            -Wconversion
            -Wsign-conversion
            -Wshadow
            -Wcast-qual
            -Wcast-align
            -Wstrict-prototypes
            -Wmissing-prototypes
            -Wundef
            -Wvla
            -Wswitch-enum
            -Wformat=2
            $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation>
            $<$<C_COMPILER_ID:Clang>:-Wno-string-conversion>
            -Wimplicit-fallthrough
            -Wwrite-strings
            -Wnull-dereference)
if(PST_WERROR)
  target_compile_options(pst_warnings INTERFACE -Werror)
endif()
