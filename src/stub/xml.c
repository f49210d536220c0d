#include <string.h>

#include "stub/stub.h"

void psti_stub_xml_begin(struct pst_stub *s)
{
    memset(&s->xml, 0, sizeof s->xml);
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

void psti_stub_annex_add(struct pst_stub *s, const char *name, size_t len)
{
    bool ok = len > 0 && len < PST_STUB_NAME && s->annex_count < PST_STUB_ANNEXES;
    for (size_t i = 0; ok && i < len; i++) {
        ok = is_name(name[i]);
    }
    for (size_t i = 0; ok && i < s->annex_count; i++) {
        ok = strlen(s->annexes[i].name) != len || memcmp(s->annexes[i].name, name, len) != 0;
    }
    if (!ok) {
        return;
    }
    memcpy(s->annexes[s->annex_count].name, name, len);
    s->annexes[s->annex_count].name[len] = 0;
    s->annexes[s->annex_count].len = 0;
    s->annex_count++;
}

static bool begins(const char *text, size_t len, const char *with)
{
    return len >= strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

/* href="NAME" of an xi:include. */
static void on_include(struct pst_stub *s, const char *tag, size_t len)
{
    for (size_t i = 0; i + 6 < len; i++) {
        char quote = tag[i + 5];
        if (!begins(tag + i, len - i, "href=") || (quote != '"' && quote != '\'')) {
            continue;
        }
        const char *name = tag + i + 6;
        const char *end = memchr(name, quote, len - i - 6);
        if (end != NULL) {
            psti_stub_annex_add(s, name, (size_t)(end - name));
        }
        return;
    }
}

static void on_tag(struct pst_stub *s)
{
    const char *tag = s->xml.tag;
    size_t len = s->xml.len;
    if (begins(tag, len, "xi:include")) {
        on_include(s, tag, len);
    }
    s->xml.text = len == 12 && begins(tag, len, "architecture");
}

static void on_text(struct pst_stub *s)
{
    if (s->xml.text && s->xml.len < PST_STUB_NAME) {
        memcpy(s->arch_name, s->xml.tag, s->xml.len);
        s->arch_name[s->xml.len] = 0;
        s->arch = pst_arch_find(s->arch_name, s->xml.len);
    }
    s->xml.text = false;
}

static void keep(struct pst_stub *s, char c)
{
    if (s->xml.len < sizeof s->xml.tag) {
        s->xml.tag[s->xml.len++] = c;
        return;
    }
    /* Too long to matter, but the end of a comment must still be found. */
    memmove(s->xml.tag + 3, s->xml.tag + 4, sizeof s->xml.tag - 4);
    s->xml.tag[sizeof s->xml.tag - 1] = c;
}

static bool is_tag_end(const struct pst_stub *s)
{
    const char *tag = s->xml.tag;
    size_t len = s->xml.len;
    return !begins(tag, len, "!--") || (len >= 5 && tag[len - 1] == '-' && tag[len - 2] == '-');
}

void psti_stub_xml_scan(struct pst_stub *s, const uint8_t *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = (char)at[i];
        if (!s->xml.inside && c == '<') {
            on_text(s);
            s->xml.inside = true;
            s->xml.len = 0;
        } else if (s->xml.inside && c == '>' && is_tag_end(s)) {
            on_tag(s);
            s->xml.inside = false;
            s->xml.len = 0;
        } else if (s->xml.inside || s->xml.text) {
            keep(s, c);
        }
    }
}
