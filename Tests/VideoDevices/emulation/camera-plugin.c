// A camera that is a regular file: a plugin of libv4l2 for tests. It is an emulation; the kernel's own drivers are
// tested in a virtual machine.
//
// The file begins with lines of text, which the test may rewrite at any time (write whole pages, at offset 0):
//
//   framekeeper-camera
//   card=Emulated camera
//   bus=usb-emulated-1
//   mode=YUYV 640x360 30/1 /path/of/frames     one line for each mode; frames are a length (u32, host order) and bytes
//   gone=1            the camera was unplugged
//   silent=1          it streams and no picture comes
//   lose=3            so many pictures are lost, in all
//   damage=2          so many come with V4L2_BUF_FLAG_ERROR, in all
//   stamps=none       its timestamps are not of the monotonic clock
//   late=20           pictures are handed out up to so many milliseconds late, each by another time, with true stamps
//   stiff=1           it refuses every exposure time
//
// Behind the text lie the values of its controls and the process that streams; behind those its buffers.

#include "camera-controls.h"
#include "camera-file.h"
#include <fcntl.h>
#include <libv4l-plugin.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

struct camera {
    int mode;
    uint8_t *clip;
    size_t clip_bytes, clip_at, buffer_bytes;
    int buffers, queued[BUFFERS_MAX], queue_length, streams, lost, damaged;
    uint64_t started, next, interval, late;
};

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void *init(int fd) {
    struct settings settings;
    struct stat file;
    if (fstat(fd, &file) || !S_ISREG(file.st_mode) || !read_settings(fd, &settings))
        return NULL;
    return calloc(1, sizeof(struct camera));
}

static void drop_clip(struct camera *camera) {
    if (camera->clip)
        munmap(camera->clip, camera->clip_bytes);
    camera->clip = NULL;
}

static void finish(void *private) {
    drop_clip(private);
    free(private);
}

static int is_owner(int fd, struct camera *camera) {
    return camera->buffers > 0 && read_facts(fd).owner == getpid();
}

static int is_taken(int fd, struct camera *camera) {
    int owner = read_facts(fd).owner;
    return owner != 0 && !is_owner(fd, camera) && kill(owner, 0) == 0;
}

static void describe(const struct mode *mode, struct v4l2_pix_format *format) {
    memset(format, 0, sizeof *format);
    format->width = mode->width;
    format->height = mode->height;
    format->pixelformat = mode->format;
    format->field = V4L2_FIELD_NONE;
    format->colorspace = V4L2_COLORSPACE_SRGB;
    if (mode->format == V4L2_PIX_FMT_YUYV)
        format->bytesperline = mode->width * 2;
    if (mode->format == V4L2_PIX_FMT_NV12 || mode->format == V4L2_PIX_FMT_YUV420)
        format->bytesperline = mode->width;
    format->sizeimage = mode->width * mode->height * 2;
}

// The mode of the format and size that is nearest; the device decides, as devices do.
static int nearest(const struct settings *settings, uint32_t format, uint32_t width, uint32_t height) {
    int best = 0;
    long least = -1;
    for (int index = 0; index < settings->mode_count; index++) {
        const struct mode *mode = &settings->modes[index];
        long distance = labs((long)mode->width - width) + labs((long)mode->height - height);
        if (mode->format != format)
            distance += 1000000;
        if (least < 0 || distance < least) {
            least = distance;
            best = index;
        }
    }
    return best;
}

static int enumerate(const struct settings *settings, struct camera *camera, unsigned long request, void *argument) {
    (void)camera;
    uint32_t seen[MODES_MAX * 2];
    uint32_t count = 0;
    for (int index = 0; index < settings->mode_count; index++) {
        const struct mode *mode = &settings->modes[index];
        uint32_t key = mode->format;
        if (request == VIDIOC_ENUM_FRAMESIZES) {
            if (mode->format != ((struct v4l2_frmsizeenum *)argument)->pixel_format)
                continue;
            key = mode->width << 16 | mode->height;
        }
        if (request == VIDIOC_ENUM_FRAMEINTERVALS) {
            struct v4l2_frmivalenum *wanted = argument;
            if (mode->format != wanted->pixel_format || mode->width != wanted->width || mode->height != wanted->height)
                continue;
            key = count;
        }
        int is_known = 0;
        for (uint32_t place = 0; place < count; place++)
            is_known |= seen[place] == key;
        if (is_known)
            continue;
        seen[count] = key;
        if (request == VIDIOC_ENUM_FMT && count == ((struct v4l2_fmtdesc *)argument)->index) {
            struct v4l2_fmtdesc *format = argument;
            format->pixelformat = mode->format;
            format->flags = mode->format == V4L2_PIX_FMT_MJPEG || mode->format == V4L2_PIX_FMT_H264
                                ? V4L2_FMT_FLAG_COMPRESSED
                                : 0;
            snprintf((char *)format->description, sizeof format->description, "emulated");
            return 0;
        }
        if (request == VIDIOC_ENUM_FRAMESIZES && count == ((struct v4l2_frmsizeenum *)argument)->index) {
            struct v4l2_frmsizeenum *size = argument;
            size->type = V4L2_FRMSIZE_TYPE_DISCRETE;
            size->discrete.width = mode->width;
            size->discrete.height = mode->height;
            return 0;
        }
        if (request == VIDIOC_ENUM_FRAMEINTERVALS && count == ((struct v4l2_frmivalenum *)argument)->index) {
            struct v4l2_frmivalenum *interval = argument;
            interval->type = V4L2_FRMIVAL_TYPE_DISCRETE;
            interval->discrete = (struct v4l2_fract){mode->seconds, mode->frames};
            return 0;
        }
        count++;
    }
    return fail(EINVAL);
}

static int set_rate(const struct settings *settings, struct camera *camera, struct v4l2_captureparm *wish) {
    const struct mode *present = &settings->modes[camera->mode];
    double wanted = wish->timeperframe.numerator ? (double)wish->timeperframe.denominator / wish->timeperframe.numerator
                                                 : 1000;
    double least = -1;
    for (int index = 0; index < settings->mode_count; index++) {
        const struct mode *mode = &settings->modes[index];
        double distance = (double)mode->frames / mode->seconds - wanted;
        distance = distance < 0 ? -distance : distance;
        if (mode->format == present->format && mode->width == present->width && mode->height == present->height &&
            (least < 0 || distance < least)) {
            least = distance;
            camera->mode = index;
        }
    }
    return 0;
}

static int request_buffers(int fd, const struct settings *settings, struct camera *camera,
                           struct v4l2_requestbuffers *request) {
    struct facts facts = read_facts(fd);
    if (is_taken(fd, camera))
        return fail(EBUSY);
    const struct mode *mode = &settings->modes[camera->mode];
    camera->buffer_bytes = (mode->width * mode->height * 2 + 4095) / 4096 * 4096;
    camera->buffers = request->count < BUFFERS_MAX ? request->count : BUFFERS_MAX;
    camera->queue_length = 0;
    request->count = camera->buffers;
    facts.owner = camera->buffers ? getpid() : 0;
    write_facts(fd, facts);
    return camera->buffers ? ftruncate(fd, BUFFERS_AT + camera->buffers * camera->buffer_bytes) : 0;
}

static int start(const struct settings *settings, struct camera *camera) {
    drop_clip(camera);
    int clip = open(settings->modes[camera->mode].clip, O_RDONLY | O_CLOEXEC);
    struct stat file;
    if (clip < 0 || fstat(clip, &file))
        return fail(EIO);
    camera->clip_bytes = file.st_size;
    camera->clip = mmap(NULL, camera->clip_bytes, PROT_READ, MAP_SHARED, clip, 0);
    close(clip);
    if (camera->clip == MAP_FAILED)
        return fail(EIO);
    const struct mode *mode = &settings->modes[camera->mode];
    camera->interval = 1000000000ull * mode->seconds / mode->frames;
    camera->clip_at = 0;
    camera->streams = 1;
    camera->next = 0;
    camera->late = settings->late > 0 ? settings->late : 0;
    camera->started = now();
    return 0;
}

// Copies the next frame of the clip, which begins again at its end.
static uint32_t fill(int fd, struct camera *camera, int index, int is_kept) {
    uint32_t length;
    if (camera->clip_at + 4 > camera->clip_bytes)
        camera->clip_at = 0;
    memcpy(&length, camera->clip + camera->clip_at, 4);
    if (is_kept && pwrite(fd, camera->clip + camera->clip_at + 4, length,
                          BUFFERS_AT + index * camera->buffer_bytes) != (ssize_t)length)
        length = 0;
    camera->clip_at += 4 + length;
    return length;
}

static uint64_t taken_at(const struct camera *camera) {
    return camera->started + (camera->next + 1) * camera->interval;
}

static uint64_t handed_out_at(const struct camera *camera) {
    return taken_at(camera) + (camera->late ? camera->next * 7 % (camera->late + 1) * 1000000 : 0);
}

static int dequeue(int fd, const struct settings *settings, struct camera *camera, struct v4l2_buffer *buffer) {
    uint64_t interval = camera->interval;
    int blocks = !(fcntl(fd, F_GETFL) & O_NONBLOCK);
    if (!camera->streams || !camera->queue_length)
        return fail(camera->streams ? EAGAIN : EINVAL);
    // A driver that found no buffer has dropped the picture.
    uint64_t passed = (now() - camera->started) / interval;
    while (camera->next + camera->queue_length < passed) {
        fill(fd, camera, 0, 0);
        camera->next++;
    }
    for (; camera->lost < settings->lose; camera->lost++) {
        fill(fd, camera, 0, 0);
        camera->next++;
    }
    uint64_t taken = taken_at(camera), due = handed_out_at(camera);
    if (settings->silent || (!blocks && now() < due))
        return fail(EAGAIN);
    for (uint64_t time = now(); time < due; time = now()) {
        struct timespec rest = {(due - time) / 1000000000, (due - time) % 1000000000};
        nanosleep(&rest, NULL);
    }
    int index = camera->queued[0];
    memmove(camera->queued, camera->queued + 1, --camera->queue_length * sizeof(int));
    uint32_t memory = buffer->memory, type = buffer->type;
    memset(buffer, 0, sizeof *buffer);
    buffer->memory = memory;
    buffer->type = type;
    buffer->index = index;
    buffer->bytesused = fill(fd, camera, index, 1);
    buffer->length = camera->buffer_bytes;
    buffer->m.offset = BUFFERS_AT + index * camera->buffer_bytes;
    buffer->sequence = camera->next++;
    buffer->flags = settings->bare ? V4L2_BUF_FLAG_TIMESTAMP_UNKNOWN : V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    buffer->timestamp.tv_sec = settings->bare ? 1 : taken / 1000000000;
    buffer->timestamp.tv_usec = settings->bare ? 0 : taken % 1000000000 / 1000;
    if (camera->damaged < settings->damage) {
        camera->damaged++;
        buffer->flags |= V4L2_BUF_FLAG_ERROR;
    }
    return 0;
}

// Whether whoever does not want to wait asks too early. A regular file is always ready for poll(2), so this is asked
// often, and costs little.
static int is_early(int fd, struct camera *camera) {
    return camera->streams && fcntl(fd, F_GETFL) & O_NONBLOCK &&
           now() < handed_out_at(camera);
}

static int call(void *private, int fd, unsigned long request, void *argument) {
    struct camera *camera = private;
    struct settings settings;
    request &= 0xffffffff;
    if (request == VIDIOC_DQBUF && is_early(fd, camera))
        return fail(EAGAIN);
    if (!read_settings(fd, &settings) || settings.gone)
        return fail(ENODEV);
    const struct mode *mode = &settings.modes[camera->mode];
    switch (request) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *capability = argument;
        memset(capability, 0, sizeof *capability);
        snprintf((char *)capability->driver, sizeof capability->driver, "emulation");
        snprintf((char *)capability->card, sizeof capability->card, "%s", settings.card);
        snprintf((char *)capability->bus_info, sizeof capability->bus_info, "%s", settings.bus);
        capability->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        capability->capabilities = capability->device_caps | V4L2_CAP_DEVICE_CAPS;
        return 0;
    }
    case VIDIOC_G_INPUT:
        *(int *)argument = 0;
        return 0;
    case VIDIOC_ENUMINPUT: {
        struct v4l2_input *input = argument;
        memset(input, 0, sizeof *input);
        input->type = V4L2_INPUT_TYPE_CAMERA;
        return 0;
    }
    case VIDIOC_ENUM_FMT:
    case VIDIOC_ENUM_FRAMESIZES:
    case VIDIOC_ENUM_FRAMEINTERVALS:
        return enumerate(&settings, camera, request, argument);
    case VIDIOC_S_FMT:
    case VIDIOC_TRY_FMT: {
        struct v4l2_format *format = argument;
        if (request == VIDIOC_S_FMT && is_taken(fd, camera))
            return fail(EBUSY);
        int found =
            nearest(&settings, format->fmt.pix.pixelformat, format->fmt.pix.width, format->fmt.pix.height);
        if (request == VIDIOC_S_FMT)
            camera->mode = found;
        describe(&settings.modes[found], &format->fmt.pix);
        return 0;
    }
    case VIDIOC_G_FMT:
        describe(mode, &((struct v4l2_format *)argument)->fmt.pix);
        return 0;
    case VIDIOC_S_PARM:
        set_rate(&settings, camera, &((struct v4l2_streamparm *)argument)->parm.capture);
        mode = &settings.modes[camera->mode];
        // fall through
    case VIDIOC_G_PARM: {
        struct v4l2_captureparm *capture = &((struct v4l2_streamparm *)argument)->parm.capture;
        memset(capture, 0, sizeof *capture);
        capture->capability = V4L2_CAP_TIMEPERFRAME;
        capture->timeperframe = (struct v4l2_fract){mode->seconds, mode->frames};
        return 0;
    }
    case VIDIOC_REQBUFS:
        return request_buffers(fd, &settings, camera, argument);
    case VIDIOC_QUERYBUF: {
        struct v4l2_buffer *buffer = argument;
        if ((int)buffer->index >= camera->buffers)
            return fail(EINVAL);
        buffer->length = camera->buffer_bytes;
        buffer->m.offset = BUFFERS_AT + buffer->index * camera->buffer_bytes;
        buffer->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
        return 0;
    }
    case VIDIOC_QBUF:
        if (camera->queue_length == BUFFERS_MAX)
            return fail(EINVAL);
        camera->queued[camera->queue_length++] = ((struct v4l2_buffer *)argument)->index;
        return 0;
    case VIDIOC_DQBUF:
        return dequeue(fd, &settings, camera, argument);
    case VIDIOC_STREAMON:
        return start(&settings, camera);
    case VIDIOC_STREAMOFF:
        camera->streams = 0;
        camera->queue_length = 0;
        return 0;
    case VIDIOC_QUERYCTRL:
        return query_control(argument);
    case VIDIOC_QUERYMENU:
        return query_menu(argument);
    case VIDIOC_G_CTRL:
    case VIDIOC_S_CTRL:
        return use_control(fd, &settings, request, argument);
    default:
        return fail(ENOTTY);
    }
}

const struct libv4l_dev_ops libv4l2_plugin = {.init = init, .close = finish, .ioctl = call};
