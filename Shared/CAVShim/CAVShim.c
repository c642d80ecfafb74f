#include "CAVShim.h"
#include <libavutil/avutil.h>
#include <libavutil/error.h>

int64_t cav_nopts_value(void) { return AV_NOPTS_VALUE; }
int cav_error_eof(void) { return AVERROR_EOF; }
int cav_error_from_errno(int posix_errno) { return AVERROR(posix_errno); }
