/* kernels.cpp - every kernel of cuda/, compiled for the host. */
#include "../../cuda/conv_kernels.cu"
#include "../../cuda/kernels.cu"

#include "shadow.h"

/* Compiled with -fsanitize=thread, which both compilers say in their own way. */
#if defined(__SANITIZE_THREAD__)
const bool emulation::shadow::reports = true;
#elif defined(__has_feature)
const bool emulation::shadow::reports = __has_feature(thread_sanitizer);
#else
const bool emulation::shadow::reports = false;
#endif
