#ifndef CAV_SHIM_H
#define CAV_SHIM_H

// What libav offers only as macros or with a va_list, which Swift does not import, and calls of Linux that
// Swift's Glibc module leaves out (flock is shadowed by the struct of the same name).

#include <stdint.h>

int64_t cav_nopts_value(void);
int cav_error_eof(void);
int cav_error_exit(void);
int cav_error_invalid_data(void);
int cav_error_unauthorized(void);
int cav_error_forbidden(void);
int cav_error_from_errno(int posix_errno);

// FF_QP2LAMBDA: what a quantiser scale is multiplied by where libav wants a "quality".
int cav_quality_scale(void);

// libav's log messages are not printed, for the whole process.
void cav_drop_log_messages(void);

// pthread_setname_np(3) for the calling thread; at most 15 bytes.
void cav_name_thread(const char *name);

// flock(2) LOCK_EX | LOCK_NB and renameat2(2) RENAME_NOREPLACE; 0, or -1 with errno.
int cav_flock_exclusive(int descriptor);
int cav_rename_without_replacing(const char *from, const char *to);

// Sets TCP_NODELAY on this process's connections to a port, and tells how many there are. libav neither sets it for
// RTSP nor shows the socket; without it the end of a picture waits up to 40 ms for the acknowledgement of its
// beginning.
int cav_send_at_once(int port);

// adjtimex(2): 1 if something disciplines the clock, 0 if nothing does (STA_UNSYNC), -1 if the kernel does not say.
int cav_clock_is_synchronized(void);

// Whether libavcodec's h264_v4l2m2m can be tried: there is a memory-to-memory device, and no node that it would take
// for one. It tries every node that takes or gives pictures, and crashes on what those of v4l2loopback say of their
// formats (libavcodec 59).
int cav_has_memory_to_memory(void);

// An eventfd: open, make readable for good, wait until it is readable or the time is over.
int cav_wake_open(void);
int cav_wake_signal(int descriptor);
int cav_wake_wait(int descriptor, int64_t nanoseconds);

#endif
