#define _GNU_SOURCE
#include "harden.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

int qala_harden_process(void) {
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0) return -errno;
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return -errno;
    return 0;
}

void qala_return_large_memory(void) { (void)mallopt(M_MMAP_THRESHOLD, 1 << 20); }

void *qala_map_secret_pages(size_t length) {
    void *pages = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return NULL;
    if (madvise(pages, length, MADV_WIPEONFORK) != 0 || madvise(pages, length, MADV_DONTDUMP) != 0) {
        munmap(pages, length);
        return NULL;
    }
    // Beyond RLIMIT_MEMLOCK the pages may reach swap space; keys still work.
    (void)mlock(pages, length);
    return pages;
}

void qala_wipe(void *bytes, size_t count) { explicit_bzero(bytes, count); }
