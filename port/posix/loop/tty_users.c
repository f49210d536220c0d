#include "posix/loop/tty_users.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "posix/loop/tty.h"

#define PATH 320

/* The first line of a small file. False: not readable, or empty. */
static bool line_of(const char *path, char *out, size_t cap)
{
    FILE *f = fopen(path, "re");
    const bool read = f != NULL && fgets(out, (int)cap, f) != NULL;

    if (f != NULL) {
        fclose(f);
    }
    if (read) {
        out[strcspn(out, "\n")] = '\0';
    }
    return read && out[0] != '\0';
}

static bool has_open(const char *fds, const struct stat *device)
{
    DIR *dir = opendir(fds);
    char path[PATH + 300];
    struct stat st;
    bool found = false;

    for (const struct dirent *e; dir != NULL && !found && (e = readdir(dir)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", fds, e->d_name);
        found = stat(path, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == device->st_rdev;
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return found;
}

static void name_of(int pid, char *who, size_t cap)
{
    char path[PATH], name[40];

    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    snprintf(who, cap, "%s (process %d)", line_of(path, name, sizeof name) ? name : "somebody",
             pid);
}

/* The process that holds the lock is the one that keeps us out. */
static bool has_lock(const struct stat *device, char *who, size_t cap)
{
    FILE *f = fopen("/proc/locks", "re");
    char line[200];
    bool found = false;

    while (f != NULL && !found && fgets(line, sizeof line, f) != NULL) {
        int pid = 0;
        unsigned high = 0, low = 0;
        unsigned long inode = 0;
        found = strstr(line, "FLOCK") != NULL &&
                sscanf(line, "%*s %*s %*s %*s %d %x:%x:%lu", &pid, &high, &low, &inode) == 4 &&
                makedev(high, low) == device->st_dev && inode == device->st_ino && pid != getpid();
        if (found) {
            name_of(pid, who, cap);
        }
    }
    if (f != NULL) {
        fclose(f);
    }
    return found;
}

bool pst_tty_user(const char *device, char *who, size_t cap)
{
    DIR *dir = opendir("/proc");
    char path[PATH];
    struct stat st;
    bool found = false;

    if (stat(device, &st) == 0 && has_lock(&st, who, cap)) {
        found = true;
    } else if (stat(device, &st) == 0) {
        for (const struct dirent *e; dir != NULL && !found && (e = readdir(dir)) != NULL;) {
            const int pid = atoi(e->d_name);
            snprintf(path, sizeof path, "/proc/%d/fd", pid);
            if (pid <= 0 || pid == getpid() || !has_open(path, &st)) {
                continue;
            }
            found = true;
            name_of(pid, who, cap);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return found;
}

/* --- the serial ports of this machine --- */

static bool is_port(const char *name)
{
    static const char *const kinds[] = {"ttyUSB", "ttyACM", "ttyAMA", "ttyS", "ttyGS"};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const size_t len = strlen(kinds[i]);
        if (strncmp(name, kinds[i], len) == 0 && name[len] >= '0' && name[len] <= '9') {
            return true;
        }
    }
    return false;
}

/* Any PC has four ttyS, with a UART or without: the type tells. */
static bool is_there(const char *name)
{
    char path[PATH], type[16];

    snprintf(path, sizeof path, "/sys/class/tty/%.200s/type", name);
    return strncmp(name, "ttyS", 4) != 0 || !line_of(path, type, sizeof type) ||
           strcmp(type, "0") != 0;
}

/* The udev name of what is plugged in. */
static bool by_id(const char *device, char *out, size_t cap)
{
    static const char where[] = "/dev/serial/by-id";
    DIR *dir = opendir(where);
    char path[PATH];
    struct stat st, other;
    bool found = false;

    if (stat(device, &st) == 0) {
        for (const struct dirent *e; dir != NULL && !found && (e = readdir(dir)) != NULL;) {
            snprintf(path, sizeof path, "%s/%.255s", where, e->d_name);
            found =
                stat(path, &other) == 0 && S_ISCHR(other.st_mode) && other.st_rdev == st.st_rdev;
            if (found) {
                snprintf(out, cap, "%s", e->d_name);
            }
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return found;
}

void pst_tty_list(void (*found)(void *ctx, const char *device, const char *what), void *ctx)
{
    DIR *dir = opendir("/dev");
    char path[PATH], what[PATH], name[256];

    for (const struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        if (!is_port(e->d_name) || !is_there(e->d_name)) {
            continue;
        }
        snprintf(path, sizeof path, "/dev/%.255s", e->d_name);
        const bool known = by_id(path, name, sizeof name);
        snprintf(what, sizeof what, "%s%s", known ? name : "a serial port",
                 access(path, R_OK | W_OK) == 0 ? "" : " (no permission)");
        found(ctx, path, what);
    }
    if (dir != NULL) {
        closedir(dir);
    }
}
