#define _GNU_SOURCE
#include "CAVShim.h"
#include <fcntl.h>
#include <libavutil/avutil.h>
#include <libavutil/error.h>
#include <libavutil/log.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <time.h>

int64_t cav_nopts_value(void) { return AV_NOPTS_VALUE; }
int cav_error_eof(void) { return AVERROR_EOF; }
int cav_error_exit(void) { return AVERROR_EXIT; }
int cav_error_invalid_data(void) { return AVERROR_INVALIDDATA; }
int cav_error_unauthorized(void) { return AVERROR_HTTP_UNAUTHORIZED; }
int cav_error_forbidden(void) { return AVERROR_HTTP_FORBIDDEN; }
int cav_error_from_errno(int posix_errno) { return AVERROR(posix_errno); }

// Messages are counted and dropped: libav prints whole URLs, passwords included, and stderr is the operator's.
static atomic_ullong warnings;
static atomic_ullong errors;

static void count_message(void *context, int level, const char *format, va_list arguments) {
    (void)context;
    (void)format;
    (void)arguments;
    if (level <= AV_LOG_ERROR)
        atomic_fetch_add(&errors, 1);
    else if (level <= AV_LOG_WARNING)
        atomic_fetch_add(&warnings, 1);
}

void cav_count_log_messages(void) { av_log_set_callback(count_message); }
uint64_t cav_logged_warnings(void) { return atomic_load(&warnings); }
uint64_t cav_logged_errors(void) { return atomic_load(&errors); }

int cav_quality_scale(void) { return FF_QP2LAMBDA; }

void cav_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
int cav_flock_exclusive(int descriptor) { return flock(descriptor, LOCK_EX | LOCK_NB); }
int cav_rename_without_replacing(const char *from, const char *to) {
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
}

int cav_wake_open(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }
int cav_wake_signal(int descriptor) { return eventfd_write(descriptor, 1); }
int cav_wake_wait(int descriptor, int64_t nanoseconds) {
    struct pollfd wake = {.fd = descriptor, .events = POLLIN};
    struct timespec time = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    return ppoll(&wake, 1, &time, NULL);
}
