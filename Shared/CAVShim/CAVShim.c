#define _GNU_SOURCE
#include "CAVShim.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <libavutil/avutil.h>
#include <libavutil/error.h>
#include <libavutil/log.h>
#include <linux/videodev2.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

int64_t cav_nopts_value(void) { return AV_NOPTS_VALUE; }
int cav_error_eof(void) { return AVERROR_EOF; }
int cav_error_exit(void) { return AVERROR_EXIT; }
int cav_error_invalid_data(void) { return AVERROR_INVALIDDATA; }
int cav_error_unauthorized(void) { return AVERROR_HTTP_UNAUTHORIZED; }
int cav_error_forbidden(void) { return AVERROR_HTTP_FORBIDDEN; }
int cav_error_from_errno(int posix_errno) { return AVERROR(posix_errno); }

// libav prints whole URLs, passwords included, and stderr is the operator's.
static void drop_message(void *context, int level, const char *format, va_list arguments) {
    (void)context;
    (void)level;
    (void)format;
    (void)arguments;
}

void cav_drop_log_messages(void) { av_log_set_callback(drop_message); }

int cav_quality_scale(void) { return FF_QP2LAMBDA; }

void cav_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
int cav_flock_exclusive(int descriptor) { return flock(descriptor, LOCK_EX | LOCK_NB); }
int cav_rename_without_replacing(const char *from, const char *to) {
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
}

static int peer_port(int descriptor) {
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    if (getpeername(descriptor, (struct sockaddr *)&peer, &length) != 0)
        return -1;
    if (peer.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&peer)->sin_port);
    if (peer.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&peer)->sin6_port);
    return -1;
}

int cav_send_at_once(int port) {
    DIR *descriptors = opendir("/proc/self/fd");
    if (!descriptors)
        return 0;
    int found = 0;
    int on = 1;
    for (struct dirent *entry; (entry = readdir(descriptors));) {
        int descriptor = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && peer_port(descriptor) == port &&
            setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0)
            found++;
    }
    closedir(descriptors);
    return found;
}

enum { NEITHER, MEMORY_TO_MEMORY, IMPOSTER };

static int kind_of_node(const char *name) {
    char path[64];
    snprintf(path, sizeof path, "/dev/%.40s", name);
    int node = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (node < 0)
        return NEITHER;
    struct v4l2_capability facts = {0};
    struct v4l2_format taken = {.type = V4L2_BUF_TYPE_VIDEO_OUTPUT};
    struct v4l2_fmtdesc listed = {.type = V4L2_BUF_TYPE_VIDEO_OUTPUT};
    int kind = NEITHER;
    if (ioctl(node, VIDIOC_QUERYCAP, &facts) == 0) {
        uint32_t can = facts.capabilities & V4L2_CAP_DEVICE_CAPS ? facts.device_caps : facts.capabilities;
        if (can & (V4L2_CAP_VIDEO_M2M | V4L2_CAP_VIDEO_M2M_MPLANE))
            kind = MEMORY_TO_MEMORY;
        else if (can & (V4L2_CAP_VIDEO_OUTPUT | V4L2_CAP_VIDEO_OUTPUT_MPLANE) ||
                 ioctl(node, VIDIOC_G_FMT, &taken) == 0 || ioctl(node, VIDIOC_ENUM_FMT, &listed) == 0)
            kind = IMPOSTER;
    }
    close(node);
    return kind;
}

int cav_has_memory_to_memory(void) {
    DIR *nodes = opendir("/dev");
    if (!nodes)
        return 0;
    int found = 0, imposters = 0;
    for (struct dirent *entry; (entry = readdir(nodes));) {
        int kind = strncmp(entry->d_name, "video", 5) ? NEITHER : kind_of_node(entry->d_name);
        found += kind == MEMORY_TO_MEMORY;
        imposters += kind == IMPOSTER;
    }
    closedir(nodes);
    return found > 0 && imposters == 0;
}

int cav_wake_open(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }
int cav_wake_signal(int descriptor) { return eventfd_write(descriptor, 1); }
int cav_wake_wait(int descriptor, int64_t nanoseconds) {
    struct pollfd wake = {.fd = descriptor, .events = POLLIN};
    struct timespec time = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    return ppoll(&wake, 1, &time, NULL);
}

int cav_clock_is_synchronized(void) {
    struct timex clock = {0};
    return adjtimex(&clock) < 0 ? -1 : (clock.status & STA_UNSYNC) == 0;
}
