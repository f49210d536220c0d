#include "postern/links/checksum.h"

/* Four bits at a time: the table is small enough for any firmware. */
uint32_t pst_crc32c(uint32_t crc, const void *at, size_t len)
{
    static const uint32_t nibble[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    const uint8_t *byte = at;

    crc = ~crc;
    for (size_t i = 0; i < len; i++) {
        crc ^= byte[i];
        crc = crc >> 4 ^ nibble[crc & 15];
        crc = crc >> 4 ^ nibble[crc & 15];
    }
    return ~crc;
}

uint16_t pst_fcs16(uint16_t fcs, const void *at, size_t len)
{
    static const uint16_t nibble[16] = {
        0x0000, 0x1081, 0x2102, 0x3183, 0x4204, 0x5285, 0x6306, 0x7387,
        0x8408, 0x9489, 0xa50a, 0xb58b, 0xc60c, 0xd68d, 0xe70e, 0xf78f,
    };
    const uint8_t *byte = at;

    for (size_t i = 0; i < len; i++) {
        fcs = (uint16_t)(fcs ^ byte[i]);
        fcs = (uint16_t)(fcs >> 4 ^ nibble[fcs & 15]);
        fcs = (uint16_t)(fcs >> 4 ^ nibble[fcs & 15]);
    }
    return fcs;
}
