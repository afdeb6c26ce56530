/* cuda_child.h - what ends the process, run in a child: for tests that plant faults and see them found. */
#ifndef CUDA_CHILD_H
#define CUDA_CHILD_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <cuda_runtime_api.h>

static inline void must(cudaError_t error)
{
    assert_int_equal(error, cudaSuccess);
}

/* The signal that ends ACTION in a child, 0 if it comes back. */
static inline int signal_of(void (*action)(void))
{
    fflush(stdout);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGSEGV, SIG_DFL); /* cmocka would catch them and go on with its tests */
        signal(SIGBUS, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        action();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status); /* the address sanitizer exits with a code instead */
}

/* A child that comes back well; a fault ends it, or its numbers are wrong. */
static inline bool goes_well(void (*action)(void))
{
    return signal_of(action) == 0;
}

#endif
