#ifndef CAV_SHIM_H
#define CAV_SHIM_H

// What libav offers only as macros, which Swift does not import.

#include <stdint.h>

int64_t cav_nopts_value(void);
int cav_error_eof(void);
int cav_error_from_errno(int posix_errno);

#endif
