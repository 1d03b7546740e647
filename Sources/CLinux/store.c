#define _GNU_SOURCE
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int outcome(int result) { return result < 0 ? -errno : result; }

int qala_open(int directory, const char *name, int flags, uint32_t mode) {
    return outcome(openat(directory, name, flags | O_CLOEXEC, (mode_t)mode));
}

int qala_close(int fd) { return outcome(close(fd)); }

int64_t qala_pread(int fd, void *bytes, size_t count, uint64_t offset) {
    ssize_t result = pread(fd, bytes, count, (off_t)offset);
    return result < 0 ? -errno : result;
}

int64_t qala_pwrite(int fd, const void *bytes, size_t count, uint64_t offset) {
    ssize_t result = pwrite(fd, bytes, count, (off_t)offset);
    return result < 0 ? -errno : result;
}

int qala_fsync(int fd) { return outcome(fsync(fd)); }

int qala_ftruncate(int fd, uint64_t length) { return outcome(ftruncate(fd, (off_t)length)); }

int qala_reserve(int fd, uint64_t length) {
    return outcome(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)length));
}

int qala_link(int from_directory, const char *from, int to_directory, const char *to) {
    return outcome(linkat(from_directory, from, to_directory, to, 0));
}

int qala_rename(int from_directory, const char *from, int to_directory, const char *to, int exclusive) {
    if (!exclusive) return outcome(renameat(from_directory, from, to_directory, to));
    // 1 is RENAME_NOREPLACE.
    return outcome((int)syscall(SYS_renameat2, from_directory, from, to_directory, to, 1u));
}

int qala_unlink(int directory, const char *name) { return outcome(unlinkat(directory, name, 0)); }

int qala_rmdir(int directory, const char *name) { return outcome(unlinkat(directory, name, AT_REMOVEDIR)); }

int qala_mkdir(int directory, const char *name, uint32_t mode) {
    return outcome(mkdirat(directory, name, (mode_t)mode));
}

static int fill(int result, const struct stat *from, qala_status *out) {
    if (result < 0) return -errno;
    out->size = (uint64_t)from->st_size;
    out->allocated = (uint64_t)from->st_blocks * 512;
    out->device = from->st_dev;
    out->inode = from->st_ino;
    out->mode = from->st_mode;
    out->links = (uint32_t)from->st_nlink;
    return 0;
}

int qala_fstat(int fd, qala_status *out) {
    struct stat status;
    return fill(fstat(fd, &status), &status, out);
}

int qala_stat(int directory, const char *name, qala_status *out) {
    struct stat status;
    return fill(fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW), &status, out);
}

int64_t qala_directory_records(int fd, void *bytes, size_t count) {
    long result = syscall(SYS_getdents64, fd, bytes, count);
    return result < 0 ? -errno : result;
}

int qala_try_lock(int fd) { return outcome(flock(fd, LOCK_EX | LOCK_NB)); }

int qala_set_direct(int fd, int on) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) return -errno;
    return outcome(fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT));
}

int qala_start_writeback(int fd, uint64_t offset, uint64_t length) {
    return outcome(sync_file_range(fd, (off_t)offset, (off_t)length, SYNC_FILE_RANGE_WRITE));
}

// posix_fadvise returns the error instead of setting errno.
int qala_will_need(int fd, uint64_t offset, uint64_t length) {
    return -posix_fadvise(fd, (off_t)offset, (off_t)length, POSIX_FADV_WILLNEED);
}

void qala_error_text(int number, char *text, size_t count) {
    if (count == 0) return;
    const char *found = strerror_r(number, text, count);
    if (found != text) snprintf(text, count, "%s", found);
}
