/* Loaded before libc: every sync takes up to FAULTS_SYNC_MS longer. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void wait_a_while(void) {
    static __thread unsigned int state = 1;
    const char *most = getenv("FAULTS_SYNC_MS");
    if (most) usleep(1000u * (unsigned int)(rand_r(&state) % (1 + atoi(most))));
}

int fsync(int file) {
    wait_a_while();
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(file);
}

int fdatasync(int file) {
    wait_a_while();
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(file);
}
