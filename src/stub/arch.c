#include <string.h>

#include "postern/space.h"

/* Offsets in the g block, which holds the registers of the core feature in order. `fp` is what
 * compilers use as frame pointer. In each of them the number of the pc is its offset / word. */
static const struct pst_arch archs[] = {
    {.name = "riscv:rv32",  .pc = 128, .sp = 8,   .fp = 32,  .word = 4, .g_len = 132},
    {.name = "riscv:rv64",  .pc = 256, .sp = 16,  .fp = 64,  .word = 8, .g_len = 264},
    {.name = "arm",         .pc = 60,  .sp = 52,  .fp = 44,  .word = 4, .g_len = 64 },
    {.name = "aarch64",     .pc = 256, .sp = 248, .fp = 232, .word = 8, .g_len = 264},
    {.name = "i386:x86-64", .pc = 128, .sp = 56,  .fp = 48,  .word = 8, .g_len = 136},
};

const struct pst_arch *pst_arch_find(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof archs / sizeof *archs; i++) {
        if (strlen(archs[i].name) == len && memcmp(archs[i].name, name, len) == 0) {
            return &archs[i];
        }
    }
    return NULL;
}
