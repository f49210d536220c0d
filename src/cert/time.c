#include "cert/facts.h"

/* Days since 1970 of a date of the Gregorian calendar from 1970 on. */
static uint32_t days_of(uint32_t year, uint32_t month, uint32_t day)
{
    /* March is the first month, so that the leap day is the last of a year. */
    uint32_t y = month > 2 ? year : year - 1;
    uint32_t m = month > 2 ? month - 3 : month + 9;

    return y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static uint32_t days_in(uint32_t year, uint32_t month)
{
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return month == 2 ? (leap ? 29 : 28) : 30 + ((month + month / 8) & 1);
}

static uint32_t get_digits(struct pst_reader *r, unsigned count)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < count; i++) {
        uint8_t c = pst_get_u8(r);
        pst_require(r, c >= '0' && c <= '9');
        v = 10 * v + (c & 0xFu);
    }
    return v;
}

static uint32_t get_year(struct pst_reader *r, uint8_t tag)
{
    uint32_t year = get_digits(r, tag == DER_TIME ? 4 : 2);

    return tag == DER_TIME ? year : year < 50 ? 2000 + year : 1900 + year;
}

bool psti_cert_time(struct pst_reader *outer, uint64_t *seconds)
{
    uint8_t tag = psti_der_peek(outer);

    pst_require(outer, tag == DER_UTC_TIME || tag == DER_TIME);
    struct pst_bytes text = psti_der_get(outer, tag);
    struct pst_reader r = pst_reader_of(text.at, text.len);
    uint32_t year = get_year(&r, tag);
    uint32_t month = get_digits(&r, 2), day = get_digits(&r, 2);
    uint32_t hour = get_digits(&r, 2), minute = get_digits(&r, 2), second = get_digits(&r, 2);

    pst_require(&r, pst_get_u8(&r) == 'Z');
    pst_require(&r, year >= 1970 && month >= 1 && month <= 12 && day >= 1 && hour < 24 &&
                        minute < 60 && second < 60);
    if (pst_finish(&r) != PST_OK || day > days_in(year, month)) {
        return false;
    }
    *seconds = (uint64_t)days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    return true;
}
