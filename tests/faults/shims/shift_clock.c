/* Loaded before libc: the wall clock is shifted by as many seconds as the file FAULTS_CLOCK holds (int64), which may
 * change at any time. The monotonic clock is the kernel's.
 *
 * Whoever waits until a moment of the wall clock has computed it from the shifted clock, and the kernel waits by the
 * real one; so such moments are shifted back. (libfaketime does that for pthread_cond_timedwait only; librdkafka waits
 * with cnd_timedwait.) A moment of the monotonic clock, which a condition may also wait for, is known by being small.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define OF_THE_WALL_CLOCK 500000000 /* seconds: no machine is up for sixteen years */

static volatile int64_t *shift;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTS_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *page = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) shift = page;
    close(file);
}

static int64_t seconds(void) { return shift ? *shift : 0; }

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += seconds();
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec exact;
    int failed = clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return failed;
}

time_t time(time_t *into) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (into) *into = exact.tv_sec;
    return exact.tv_sec;
}

int timespec_get(struct timespec *now, int base) {
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, now) == 0 ? base : 0;
}

static const struct timespec *shifted_back(const struct timespec *until, struct timespec *room) {
    if (until == NULL || until->tv_sec < OF_THE_WALL_CLOCK) return until;
    *room = *until;
    room->tv_sec -= seconds();
    return room;
}

static void *next(const char *name) {
    void *found = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2"); /* an older one of that name has another condition */
    return found ? found : dlsym(RTLD_NEXT, name);
}

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until) {
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    struct timespec room;
    if (!real) real = next("pthread_cond_timedwait");
    return real(condition, mutex, shifted_back(until, &room));
}

int pthread_cond_clockwait(pthread_cond_t *condition, pthread_mutex_t *mutex, clockid_t clock,
                           const struct timespec *until) {
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);
    struct timespec room;
    if (!real) real = next("pthread_cond_clockwait");
    return real(condition, mutex, clock, shifted_back(until, &room));
}

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until) {
    static int (*real)(cnd_t *, mtx_t *, const struct timespec *);
    struct timespec room;
    if (!real) real = next("cnd_timedwait");
    return real(condition, mutex, shifted_back(until, &room));
}

int sem_timedwait(sem_t *semaphore, const struct timespec *until) {
    static int (*real)(sem_t *, const struct timespec *);
    struct timespec room;
    if (!real) real = next("sem_timedwait");
    return real(semaphore, shifted_back(until, &room));
}
