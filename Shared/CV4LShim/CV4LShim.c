#define _GNU_SOURCE
#include "CV4LShim.h"
#include <errno.h>
#include <fcntl.h>
#include <libv4l2.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

// libv4l2 writes its complaints to stderr, which is the operator's log. Every one of them is an error of a call too.
static void quiet(void) {
    if (!v4l2_log_file && !getenv("LIBV4L2_LOG_FILENAME"))
        v4l2_log_file = fopen("/dev/null", "we");
}

int cv4l_open(const char *path) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, quiet);
    int device;
    do
        device = v4l2_open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC, 0);
    while (device < 0 && errno == EINTR);
    return device < 0 ? -errno : device;
}

static int call(int device, unsigned long request, void *argument) {
    int outcome;
    do
        outcome = v4l2_ioctl(device, request, argument);
    while (outcome < 0 && errno == EINTR);
    return outcome < 0 ? errno : 0;
}

#define CALL(name, request, type) \
    int cv4l_##name(int device, type *argument) { return call(device, request, argument); }

CALL(query_capability, VIDIOC_QUERYCAP, struct v4l2_capability)
CALL(enumerate_formats, VIDIOC_ENUM_FMT, struct v4l2_fmtdesc)
CALL(enumerate_sizes, VIDIOC_ENUM_FRAMESIZES, struct v4l2_frmsizeenum)
CALL(enumerate_intervals, VIDIOC_ENUM_FRAMEINTERVALS, struct v4l2_frmivalenum)
CALL(get_format, VIDIOC_G_FMT, struct v4l2_format)
CALL(set_format, VIDIOC_S_FMT, struct v4l2_format)
CALL(get_parameters, VIDIOC_G_PARM, struct v4l2_streamparm)
CALL(set_parameters, VIDIOC_S_PARM, struct v4l2_streamparm)
CALL(request_buffers, VIDIOC_REQBUFS, struct v4l2_requestbuffers)
CALL(query_buffer, VIDIOC_QUERYBUF, struct v4l2_buffer)
CALL(queue_buffer, VIDIOC_QBUF, struct v4l2_buffer)
CALL(dequeue_buffer, VIDIOC_DQBUF, struct v4l2_buffer)
CALL(query_control, VIDIOC_QUERYCTRL, struct v4l2_queryctrl)
CALL(query_menu, VIDIOC_QUERYMENU, struct v4l2_querymenu)
CALL(get_control, VIDIOC_G_CTRL, struct v4l2_control)
CALL(set_control, VIDIOC_S_CTRL, struct v4l2_control)

int cv4l_stream_on(int device) {
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    return call(device, VIDIOC_STREAMON, &type);
}

int cv4l_stream_off(int device) {
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    return call(device, VIDIOC_STREAMOFF, &type);
}

int cv4l_wait(int device, int wake, int64_t nanoseconds) {
    struct pollfd both[2] = {{.fd = device, .events = POLLIN}, {.fd = wake, .events = POLLIN}};
    struct timespec time = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    return ppoll(both, 2, &time, NULL);
}

uint32_t cv4l_force_key_frame(void) { return V4L2_CID_MPEG_VIDEO_FORCE_KEY_FRAME; }

static uint64_t number(const struct stat *facts) {
    if (S_ISCHR(facts->st_mode))
        return facts->st_rdev;
    // Files and nodes are not confused: inodes stand in the upper half, where device numbers of Linux have nothing.
    return S_ISREG(facts->st_mode) ? (facts->st_ino << 32) ^ facts->st_dev : 0;
}

uint64_t cv4l_device_number(const char *path) {
    struct stat facts;
    return stat(path, &facts) == 0 ? number(&facts) : 0;
}
