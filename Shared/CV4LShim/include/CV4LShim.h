#ifndef CV4L_SHIM_H
#define CV4L_SHIM_H

// What libv4l2 offers only as variadic functions and linux/videodev2.h only as macros, which Swift does not import.

#include <linux/videodev2.h>
#include <stdint.h>

// v4l2_open(3) with O_RDWR | O_NONBLOCK | O_CLOEXEC: a descriptor, or the negative of errno.
int cv4l_open(const char *path);

// The ioctls of videodev2.h through libv4l2; each is repeated when a signal ends it. 0, or errno.
int cv4l_query_capability(int device, struct v4l2_capability *capability);
int cv4l_enumerate_formats(int device, struct v4l2_fmtdesc *format);
int cv4l_enumerate_sizes(int device, struct v4l2_frmsizeenum *size);
int cv4l_enumerate_intervals(int device, struct v4l2_frmivalenum *interval);
int cv4l_get_format(int device, struct v4l2_format *format);
int cv4l_set_format(int device, struct v4l2_format *format);
int cv4l_get_parameters(int device, struct v4l2_streamparm *parameters);
int cv4l_set_parameters(int device, struct v4l2_streamparm *parameters);
int cv4l_request_buffers(int device, struct v4l2_requestbuffers *request);
int cv4l_query_buffer(int device, struct v4l2_buffer *buffer);
int cv4l_queue_buffer(int device, struct v4l2_buffer *buffer);
int cv4l_dequeue_buffer(int device, struct v4l2_buffer *buffer);
int cv4l_stream_on(int device);
int cv4l_stream_off(int device);
int cv4l_query_control(int device, struct v4l2_queryctrl *control);
int cv4l_query_menu(int device, struct v4l2_querymenu *menu);
int cv4l_get_control(int device, struct v4l2_control *control);
int cv4l_set_control(int device, struct v4l2_control *control);

// Waits until the device or `wake` has something to tell, or the time is over: ppoll(2).
int cv4l_wait(int device, int wake, int64_t nanoseconds);

// V4L2_CID_MPEG_VIDEO_FORCE_KEY_FRAME.
uint32_t cv4l_force_key_frame(void);

// What tells a device from every other: the number of a node, or one made for a regular file that stands for a node; 0
// where there is neither. Links are followed, those in /proc/<pid>/fd too.
uint64_t cv4l_device_number(const char *path);

#endif
