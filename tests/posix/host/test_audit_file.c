/* The audit log in a file: what is stored, in which order, and what happens if the disk is full. */
#include "pst_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "posix/host/audit_file.h"

static char path[64];

static void expect_file(const char *text)
{
    char got[256] = {0};
    int fd = open(path, O_RDONLY);

    CHECK(fd >= 0);
    CHECK(read(fd, got, sizeof got - 1) >= 0);
    close(fd);
    assert_string_equal(got, text);
}

static pst_err say(const struct pst_audit_sink *sink, const char *text, enum pst_audit_when when)
{
    return sink->line(sink->ctx, text, strlen(text), when);
}

static int make(void **state)
{
    (void)state;
    strcpy(path, "/tmp/postern-audit-XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 || close(fd) != 0;
}

static int drop(void **state)
{
    (void)state;
    return unlink(path);
}

static void test_kept(void **state)
{
    struct pst_audit_file f;
    const struct timespec wait = {.tv_nsec = (PST_AUDIT_KEEP_MS + 20) * 1000000L};

    (void)state;
    CHECK_EQ(pst_audit_file_open(&f, path), PST_OK);
    const struct pst_audit_sink sink = pst_audit_file_sink(&f);
    CHECK_EQ(pst_audit_file_poll(&f), UINT64_MAX);
    CHECK_EQ(say(&sink, "a", PST_AUDIT_DURABLE), PST_OK);
    CHECK_EQ(say(&sink, "b", PST_AUDIT_ANNOUNCED), PST_OK);
    expect_file("a\n");
    CHECK(pst_audit_file_poll(&f) <= PST_AUDIT_KEEP_MS);
    CHECK_EQ(say(&sink, "c", PST_AUDIT_WRITTEN), PST_OK); /* takes along what came before it */
    expect_file("a\nb\nc\n");
    CHECK_EQ(say(&sink, "d", PST_AUDIT_ANNOUNCED), PST_OK);
    nanosleep(&wait, NULL);
    CHECK_EQ(pst_audit_file_poll(&f), UINT64_MAX);
    expect_file("a\nb\nc\nd\n");
    CHECK_EQ(say(&sink, "e", PST_AUDIT_ANNOUNCED), PST_OK);
    pst_audit_file_close(&f);
    expect_file("a\nb\nc\nd\ne\n");
}

static void test_many(void **state)
{
    struct pst_audit_file f;
    char line[PST_AUDIT_LINE];
    FILE *file;
    size_t lines = 0;
    int c;

    (void)state;
    memset(line, 'x', sizeof line);
    CHECK_EQ(pst_audit_file_open(&f, path), PST_OK);
    const struct pst_audit_sink sink = pst_audit_file_sink(&f);
    for (size_t i = 0; i < 20; i++) {
        CHECK_EQ(sink.line(sink.ctx, line, sizeof line - i, PST_AUDIT_ANNOUNCED), PST_OK);
    }
    CHECK_EQ(sink.line(sink.ctx, line, sizeof line + 1, PST_AUDIT_ANNOUNCED), PST_ERR_AUDIT);
    pst_audit_file_close(&f);
    file = fopen(path, "r");
    CHECK(file != NULL);
    while ((c = getc(file)) != EOF) {
        lines += c == '\n';
    }
    fclose(file);
    CHECK_EQ(lines, 20);
}

/* A line in pieces is written to the file completely or not at all. */
static void test_pieces(void **state)
{
    struct pst_audit_file f;
    char half[PST_AUDIT_LINE / 2 + 1];

    (void)state;
    memset(half, 'x', sizeof half);
    CHECK_EQ(pst_audit_file_open(&f, path), PST_OK);
    const struct pst_audit_sink sink = pst_audit_file_sink(&f);
    CHECK_EQ(say(&sink, "a", PST_AUDIT_ANNOUNCED), PST_OK);
    CHECK_EQ(say(&sink, "b", PST_AUDIT_MORE), PST_OK);
    CHECK_EQ(say(&sink, "c", PST_AUDIT_MORE), PST_OK);
    expect_file("");
    CHECK_EQ(say(&sink, "d", PST_AUDIT_DURABLE), PST_OK);
    expect_file("a\nbcd\n");
    CHECK_EQ(sink.line(sink.ctx, half, sizeof half, PST_AUDIT_MORE), PST_OK);
    CHECK_EQ(sink.line(sink.ctx, half, sizeof half, PST_AUDIT_DURABLE), PST_ERR_AUDIT);
    CHECK_EQ(say(&sink, "e", PST_AUDIT_DURABLE), PST_OK);
    CHECK_EQ(say(&sink, "f", PST_AUDIT_MORE), PST_OK);
    pst_audit_file_close(&f);
    expect_file("a\nbcd\ne\n");
}

/* A killed agent left half a line: it becomes a line of its own, and new lines start after it. */
static void test_half(void **state)
{
    struct pst_audit_file f;
    int fd = open(path, O_WRONLY);

    (void)state;
    CHECK(write(fd, "hal", 3) == 3);
    close(fd);
    CHECK_EQ(pst_audit_file_open(&f, path), PST_OK);
    const struct pst_audit_sink sink = pst_audit_file_sink(&f);
    CHECK_EQ(say(&sink, "a", PST_AUDIT_DURABLE), PST_OK);
    pst_audit_file_close(&f);
    expect_file("hal\na\n");
}

static void test_full(void **state)
{
    struct pst_audit_file f;

    (void)state;
    CHECK_EQ(pst_audit_file_open(&f, "/dev/full"), PST_OK);
    const struct pst_audit_sink sink = pst_audit_file_sink(&f);
    CHECK_EQ(say(&sink, "a", PST_AUDIT_DURABLE), PST_ERR_AUDIT);
    CHECK_EQ(say(&sink, "b", PST_AUDIT_ANNOUNCED), PST_ERR_AUDIT); /* nothing is kept any more */
    CHECK_EQ(pst_audit_file_poll(&f), UINT64_MAX);
    pst_audit_file_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kept, make, drop),
        cmocka_unit_test_setup_teardown(test_many, make, drop),
        cmocka_unit_test_setup_teardown(test_pieces, make, drop),
        cmocka_unit_test_setup_teardown(test_half, make, drop),
        cmocka_unit_test_setup_teardown(test_full, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
