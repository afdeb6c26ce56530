/* t_base_clock.c - waits end by the monotonic clock: here the wall clock stands an hour ahead whenever it is asked, as if it were set back right after. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "hs_base.h"

/* Stands before the C library's, for the library under test too. */
int clock_gettime(clockid_t clock, struct timespec *t)
{
    int code = (int)syscall(SYS_clock_gettime, clock, t);
    if (clock == CLOCK_REALTIME)
        t->tv_sec += 3600;
    return code;
}

static void *signal_soon(void *wake)
{
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    pthread_cond_signal(wake);
    return NULL;
}

static void waits(void **state)
{
    (void)state;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t wake;
    pthread_t thread;
    alarm(20); /* instead of an hour */
    hs_wait_init(&wake);
    pthread_mutex_lock(&lock);
    double begin = hs_now();
    assert_true(hs_wait(&wake, &lock, 0.2));
    double spent = hs_now() - begin;
    assert_true(spent >= 0.2 && spent < 5);
    assert_int_equal(pthread_create(&thread, NULL, signal_soon, &wake), 0);
    assert_false(hs_wait(&wake, &lock, 15));
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    pthread_cond_destroy(&wake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(waits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
