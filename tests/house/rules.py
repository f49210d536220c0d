"""The rules of the house, as data. docs/DESIGN.md draws the same map; check.py enforces it."""

# Which folders of src/ a folder of src/ may use. What is not listed here does not exist.
ARROWS = {
    "wire": (),
    "crypto": ("wire",),
    "cert": ("crypto", "wire"),
    "spp": ("wire",),
    "link": ("wire",),
    "trace": ("wire",),
    "record": ("crypto", "wire"),
    "spdm": ("record", "cert", "crypto", "wire"),
    "stub": ("spp", "wire"),
    "ts": ("spdm", "record", "stub", "cert", "spp", "link", "trace", "crypto", "wire"),
    "dts": ("spdm", "record", "cert", "spp", "link", "trace", "crypto", "wire"),
    "gdb": ("spp", "stub", "wire"),
}
# Of these a folder may use what is public and nothing else: user -> used.
PUBLIC_ONLY = {"gdb": ("stub",)}

# Dispatch tables. A table names its handlers, and a handler may call the dispatcher: the only
# circles among files that are allowed. Without what the table itself refers to, none may remain.
# None needs it today: path -> what it dispatches.
TABLES = {}

# Headers of C11 that need no library, and the functions of <string.h>; bench/size/string.h is the
# list of those, for compilers that come without a C library.
FREESTANDING = {"float.h", "iso646.h", "limits.h", "stdalign.h", "stdarg.h", "stdbool.h",
                "stddef.h", "stdint.h", "stdnoreturn.h"}
CORE_HEADERS = FREESTANDING | {"string.h"}
STRING_LIST = "bench/size/string.h"

# What compilers and sanitizers add by themselves.
COMPILER_SYMBOLS = ("__asan_", "__ubsan_", "__odr_asan", "__stack_chk_", "__sanitizer_",
                    "_GLOBAL_OFFSET_TABLE_", "__sancov_", "__gcov_", "__llvm_", "__aeabi_")

# port/posix: a link sees no other link; host and bridge see carriers, not how they are made; loop
# is the ground.
CARRIER_VIEW = {"port/posix/loop/carrier.h", "port/posix/loop/address.h",
                "port/posix/loop/link.h", "port/posix/links/table.h"}
CARRIER_TABLE = "port/posix/links/table.c"

STATE = "include/postern/state/"
PROFILE = "include/postern/mipi_profile.h"
PROFILE_FAMILIES = ("PST_AS_", "PST_SCM_", "PST_RUN_")

FILE_LINES = 600
FUNCTION_LINES = 60
