# The one list of warnings. Link pst_warnings to get it.
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
            -Wimplicit-fallthrough
            -Wwrite-strings
            -Wnull-dereference)
if(PST_WERROR)
  target_compile_options(pst_warnings INTERFACE -Werror)
endif()
