// A disk with faults on demand, for one process tree: preloaded (LD_PRELOAD, ld.so(8)), it stands before the calls that
// write to files below STORAGE_FAULT_PATH. What it does is the content of the file STORAGE_FAULT_CONTROL, read anew for
// each call: nothing or "none": the call goes through; "slow MILLISECONDS": each write waits first, as a disk does that
// is worn out or behind a bad network; "fail ERRNO": writes, syncs and new files fail. Other files are left alone.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { CONTROL_BYTES = 64 };

// The next definition of a function, once looked up. A race only looks it up twice.
#define NEXT(name) \
    static __typeof__(name) *next; \
    if (!next) next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static int is_meant(const char *path) {
    const char *root = getenv("STORAGE_FAULT_PATH");
    return root && *root && path && strncmp(path, root, strlen(root)) == 0;
}

static int is_meant_file(int file) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t count = readlink(link, path, sizeof path - 1);
    if (count <= 0) return 0;
    path[count] = 0;
    return is_meant(path);
}

// The errno to fail with; 0: the call goes through, after its wait.
static int fault(int is_write) {
    char text[CONTROL_BYTES] = "";
    const char *control = getenv("STORAGE_FAULT_CONTROL");
    int file = control ? (int)openat(AT_FDCWD, control, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return 0;
    ssize_t count = read(file, text, sizeof text - 1);
    close(file);
    if (count <= 0) return 0;
    int number = 0;
    if (sscanf(text, "fail %d", &number) == 1) return number;
    if (is_write && sscanf(text, "slow %d", &number) == 1) {
        struct timespec wait = {number / 1000, number % 1000 * 1000000L};
        while (nanosleep(&wait, &wait) != 0 && errno == EINTR) {
        }
    }
    return 0;
}

#define FAIL_IF_MEANT(is_ours, is_write) \
    do { \
        int saved = errno; \
        int number = (is_ours) ? fault(is_write) : 0; \
        errno = number ? number : saved; \
        if (number) return -1; \
    } while (0)

ssize_t write(int file, const void *bytes, size_t count) {
    NEXT(write);
    FAIL_IF_MEANT(is_meant_file(file), 1);
    return next(file, bytes, count);
}

int fdatasync(int file) {
    NEXT(fdatasync);
    FAIL_IF_MEANT(is_meant_file(file), 0);
    return next(file);
}

int fsync(int file) {
    NEXT(fsync);
    FAIL_IF_MEANT(is_meant_file(file), 0);
    return next(file);
}

static int opened(int (*next)(const char *, int, ...), const char *path, int flags, mode_t mode) {
    FAIL_IF_MEANT((flags & O_CREAT) && is_meant(path), 0);
    return next(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    NEXT(open);
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return opened(next, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    NEXT(open64);
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return opened(next, path, flags, mode);
}
