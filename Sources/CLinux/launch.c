#define _GNU_SOURCE
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

int qala_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC) == 0 ? 0 : -errno; }

int qala_spawn_apart(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, int descriptors) {
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int failure = posix_spawn_file_actions_addchdir_np(actions, "/");
    // Since glibc 2.34; by close_range(), or one by one where the kernel does not know it.
    if (failure == 0) failure = posix_spawn_file_actions_addclosefrom_np(actions, descriptors);
    if (failure == 0) failure = posix_spawnattr_setsigmask(attributes, &none);
    if (failure == 0) failure = posix_spawnattr_setsigdefault(attributes, &all);
    if (failure == 0) {
        failure = posix_spawnattr_setflags(
            attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    }
    return failure;
}
