// System calls of the object store. No function retries: the caller decides what EINTR and a short count mean.
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t size;
    uint64_t allocated; // bytes on disk
    uint64_t device;
    uint64_t inode;
    uint32_t mode;
    uint32_t links;
} qala_status;

int qala_open(int directory, const char *name, int flags, uint32_t mode);
int qala_close(int fd);
int64_t qala_pread(int fd, void *bytes, size_t count, uint64_t offset);
int64_t qala_pwrite(int fd, const void *bytes, size_t count, uint64_t offset);
int qala_fsync(int fd);
int qala_ftruncate(int fd, uint64_t length);
// Reserves blocks without changing the size of the file.
int qala_reserve(int fd, uint64_t length);
int qala_link(int from_directory, const char *from, int to_directory, const char *to);
// With `exclusive`, fails with EEXIST instead of replacing.
int qala_rename(int from_directory, const char *from, int to_directory, const char *to, int exclusive);
int qala_unlink(int directory, const char *name);
int qala_rmdir(int directory, const char *name);
int qala_mkdir(int directory, const char *name, uint32_t mode);
int qala_fstat(int fd, qala_status *out);
// Does not follow a symbolic link.
int qala_stat(int directory, const char *name, qala_status *out);
// The records of getdents64.
int64_t qala_directory_records(int fd, void *bytes, size_t count);
// Takes an exclusive flock or fails with EWOULDBLOCK.
int qala_try_lock(int fd);
int qala_set_direct(int fd, int on);
int qala_start_writeback(int fd, uint64_t offset, uint64_t length);
int qala_will_need(int fd, uint64_t offset, uint64_t length);
// The text of an error number, always terminated.
void qala_error_text(int number, char *text, size_t count);
