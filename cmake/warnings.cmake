# The list of warnings. Link pst_warnings to use it. -Wformat-truncation is off: snprintf truncates
# text messages on purpose, and GCC's warning depends on the optimisation level. Clang's warning
# about !"text" is off, because checks use it to say why they fail.
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
