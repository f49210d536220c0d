/* The cache of the halted target and the gather list.
 * pst-link: gdb stub spp wire */
#include "pst_test.h"

#include "postern/parts/cache.h"

enum { BLOCKS = 16 };

static void put_region(struct pst_writer *w, uint64_t first, uint64_t last, uint8_t kind)
{
    pst_put_u64(w, first);
    pst_put_u64(w, last);
    pst_put_u8(w, kind);
    pst_put_zeros(w, 7);
}

static void make(struct pst_cache *c, struct pst_cache_block *blocks)
{
    uint8_t map[96];
    struct pst_writer w = pst_writer_of(map, sizeof map);
    put_region(&w, 0x8000, 0xFFFF, PST_REGION_RAM);
    put_region(&w, 0x1000, 0x10FF, PST_REGION_ROM);
    put_region(&w, 0x2000, 0x20FF, 77); /* a kind of another profile */
    put_region(&w, 0x4000, 0x4010, PST_REGION_FLASH);
    CHECK_EQ(pst_cache_init(c, blocks, BLOCKS), PST_OK);
    CHECK_EQ(pst_cache_set_map(c, map, w.used), PST_OK);
}

static void test_map(void **state)
{
    (void)state;
    struct pst_cache c;
    struct pst_cache_block blocks[BLOCKS];
    uint8_t map[24 * (PST_CACHE_REGIONS + 1)];
    CHECK_EQ(pst_cache_init(&c, blocks, 3), PST_ERR_ARGUMENT);
    make(&c, blocks);
    CHECK_EQ(c.map_len, 3);
    CHECK_EQ(c.map[0].first, 0x1000); /* sorted */
    CHECK(pst_cache_region(&c, 0x8000, 0x8000) == &c.map[2]);
    CHECK(pst_cache_region(&c, 0x8000, 0x8001) == NULL);
    CHECK(pst_cache_region(&c, 0x7FFF, 2) == NULL);
    CHECK(pst_cache_region(&c, UINT64_MAX, 2) == NULL);
    CHECK(pst_cache_region(&c, 0x4010, 1) != NULL);

    struct pst_writer w = pst_writer_of(map, sizeof map);
    put_region(&w, 0x1000, 0x1FFF, PST_REGION_RAM);
    for (size_t n = 1; n < w.used; n++) {
        CHECK_EQ(pst_cache_set_map(&c, map, n), PST_ERR_DECODE);
    }
    CHECK_EQ(c.map_len, 0);
    put_region(&w, 0x1FFF, 0x2FFF, PST_REGION_RAM); /* overlap */
    CHECK_EQ(pst_cache_set_map(&c, map, w.used), PST_ERR_DECODE);
    w = pst_writer_of(map, sizeof map);
    put_region(&w, 0x2000, 0x1FFF, PST_REGION_RAM);
    CHECK_EQ(pst_cache_set_map(&c, map, w.used), PST_ERR_DECODE);
    w = pst_writer_of(map, sizeof map);
    put_region(&w, 0, UINT64_MAX, PST_REGION_RAM);
    CHECK_EQ(pst_cache_set_map(&c, map, w.used), PST_OK);
    w = pst_writer_of(map, sizeof map);
    for (uint64_t i = 0; i <= PST_CACHE_REGIONS; i++) {
        put_region(&w, i * 16, i * 16 + 15, PST_REGION_RAM);
    }
    CHECK_EQ(pst_cache_set_map(&c, map, w.used - 24), PST_OK);
    CHECK_EQ(c.map_len, PST_CACHE_REGIONS);
    CHECK_EQ(pst_cache_set_map(&c, map, w.used), PST_ERR_LIMIT);
}

static void test_bytes(void **state)
{
    (void)state;
    struct pst_cache c;
    struct pst_cache_block blocks[BLOCKS];
    uint8_t out[600], data[600];
    struct pst_test_rng rng = {.state = 1};
    pst_test_rng_fill(&rng, data, sizeof data);
    make(&c, blocks);
    CHECK(!pst_cache_get(&c, 0x8000, out, 1));
    pst_cache_fill(&c, 0x80F3, data, 600);
    CHECK(pst_cache_get(&c, 0x80F3, out, 600));
    CHECK_BYTES(out, data, 600);
    CHECK(!pst_cache_get(&c, 0x80F2, out, 2));
    CHECK(!pst_cache_has(&c, 0x80F3, 601));
    pst_cache_forget(&c, 0x8100, 1);
    CHECK(pst_cache_get(&c, 0x80F3, out, 13));
    CHECK(!pst_cache_get(&c, 0x80F3, out, 14));
    CHECK(pst_cache_get(&c, 0x8101, out, 100));
    CHECK_BYTES(out, data + 14, 100);
    /* what the map does not list is not kept, whatever surrounds it */
    pst_cache_fill(&c, 0x7F80, data, 256);
    CHECK(!pst_cache_has(&c, 0x7FFF, 1));
    CHECK(pst_cache_has(&c, 0x8000, 128));
    pst_cache_fill(&c, 0xFFFF, data, 2);
    CHECK(!pst_cache_has(&c, 0x10000, 1));
    pst_cache_fill(&c, UINT64_MAX, data, 2);
}

static void test_resume(void **state)
{
    (void)state;
    struct pst_cache c;
    struct pst_cache_block blocks[BLOCKS];
    uint8_t data[300] = {7};
    make(&c, blocks);
    pst_cache_fill(&c, 0x8000, data, 300);
    pst_cache_fill(&c, 0x1000, data, 256);
    pst_cache_fill(&c, 0x4000, data, 16);
    pst_cache_resume(&c);
    CHECK(!pst_cache_has(&c, 0x8000, 1));
    CHECK(!pst_cache_has(&c, 0x4000, 1)); /* flash can be programmed */
    CHECK(pst_cache_has(&c, 0x1000, 256));
}

/* Compared with a plain array: the cache must return the bytes that were stored last. */
static void test_model(void **state)
{
    (void)state;
    static uint8_t model[0x8000];
    struct pst_cache c;
    struct pst_cache_block blocks[BLOCKS];
    struct pst_test_rng rng = {.state = 42};
    uint8_t data[700];
    unsigned known = 0;
    make(&c, blocks);
    for (int i = 0; i < 20000; i++) {
        size_t at = pst_test_rng_below(&rng, sizeof model - sizeof data);
        size_t len = 1 + pst_test_rng_below(&rng, sizeof data - 1);
        at = i % 3 == 0 ? at : at % 0x800;
        switch (pst_test_rng_below(&rng, 8)) {
        case 0:
        case 1:
        case 2:
            pst_test_rng_fill(&rng, data, len);
            memcpy(model + at, data, len);
            pst_cache_fill(&c, 0x8000 + at, data, len);
            break;
        case 3:
            pst_test_rng_fill(&rng, model + at, len); /* without telling the cache */
            pst_cache_forget(&c, 0x8000 + at, len);
            break;
        case 4:
            if (i % 50 == 0) {
                pst_cache_resume(&c);
            }
            break;
        default:
            if (pst_cache_get(&c, 0x8000 + at, data, len)) {
                CHECK_BYTES(data, model + at, len);
                known++;
            }
            break;
        }
    }
    CHECK(known > 100);
}

static void test_gather(void **state)
{
    (void)state;
    static const struct pst_region ram = {0x8000, 0xFFFF, PST_REGION_RAM};
    struct pst_gather g;
    uint8_t list[PST_GATHER_BYTES], regs[132] = {0};
    pst_poke_u32(regs + 4, 0x9000);   /* ra */
    pst_poke_u32(regs + 8, 0xC010);   /* sp */
    pst_poke_u32(regs + 32, 0x1);     /* fp */
    pst_poke_u32(regs + 128, 0x9100); /* pc */
    pst_gather_init(&g);
    pst_gather_arch(&g, NULL);
    CHECK_EQ(pst_gather_list(&g, list), 0);
    pst_gather_arch(&g, pst_arch_find("riscv:rv32", 10));
    for (int i = 0; i < 12; i++) {
        pst_gather_stop(&g);
    }
    CHECK_EQ(pst_gather_list(&g, list), 32); /* SP and RA stay */
    CHECK_EQ(list[0], PST_GATHER_REGISTER);
    CHECK_EQ(pst_peek_u16(list + 2), 8);
    CHECK_EQ((int64_t)pst_peek_u64(list + 8), -64);
    CHECK_EQ(pst_peek_u16(list + 18), 4);
    /* what lies there needs no entry */
    pst_gather_note(&g, &ram, 0xC000, 64, regs, sizeof regs);
    pst_gather_note(&g, &ram, 0x9000, 4, regs, sizeof regs);
    pst_gather_note(&g, &ram, 0xD000, 4096, regs, sizeof regs); /* a dump */
    CHECK_EQ(pst_gather_list(&g, list), 32);
    /* a global, whole lines but never beyond the region */
    pst_gather_note(&g, &ram, 0xFFF8, 8, regs, sizeof regs);
    CHECK_EQ(pst_gather_list(&g, list), 48);
    CHECK_EQ(list[32], PST_GATHER_ABSOLUTE);
    CHECK_EQ(pst_peek_u64(list + 40), 0xFFC0);
    CHECK_EQ(pst_peek_u32(list + 36), 0x40);
    /* its neighbour makes it longer */
    pst_gather_note(&g, &ram, 0xFF00, 8, regs, sizeof regs);
    CHECK_EQ(pst_gather_list(&g, list), 48);
    CHECK_EQ(pst_peek_u64(list + 40), 0xFF00);
    CHECK_EQ(pst_peek_u32(list + 36), 0x100);
    /* up the stack: relative, the same entry wherever the stack is */
    pst_gather_note(&g, &ram, 0xC400, 64, regs, sizeof regs);
    pst_poke_u32(regs + 8, 0xB010);
    pst_gather_note(&g, &ram, 0xB400, 64, regs, sizeof regs);
    CHECK_EQ(pst_gather_list(&g, list), 64);
    CHECK_EQ(list[48], PST_GATHER_REGISTER);
    /* never more than there is room for */
    for (uint64_t a = 0x8000; a < 0x10000; a += 0x400) {
        pst_gather_note(&g, &ram, a, 4, regs, sizeof regs);
    }
    CHECK_EQ(pst_gather_list(&g, list), PST_GATHER_BYTES);
    for (int i = 0; i < 12; i++) {
        pst_gather_stop(&g);
    }
    CHECK_EQ(pst_gather_list(&g, list), 32);
}

/* A long read works: prefetched data is still in the cache when gdb reads it, even if the cache is
 * full. */
static void test_stream(void **state)
{
    (void)state;
    enum { AHEAD = BLOCKS / 2 };
    struct pst_cache c;
    struct pst_cache_block blocks[BLOCKS];
    uint8_t data[PST_CACHE_BLOCK] = {0};
    make(&c, blocks);
    for (uint64_t i = 0; i < 8 * BLOCKS - AHEAD; i++) {
        pst_cache_fill(&c, 0x8000 + (i % 128) * PST_CACHE_BLOCK, data, sizeof data);
        if (i >= AHEAD) {
            uint64_t behind = 0x8000 + ((i - AHEAD) % 128) * PST_CACHE_BLOCK;
            CHECK(pst_cache_has(&c, behind, PST_CACHE_BLOCK));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map),   cmocka_unit_test(test_bytes),  cmocka_unit_test(test_resume),
        cmocka_unit_test(test_model), cmocka_unit_test(test_gather), cmocka_unit_test(test_stream),
    };
    return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
