#pragma once
// Calls that Swift cannot name itself: variadic functions, newer system calls and what the C library does not wrap.
//
// Every function returns a value >= 0 on success and -errno on failure, and repeats a call that a signal interrupted.
#include <stddef.h>
#include <stdint.h>

// The part of `struct stat` that an archive keeps.
struct tree_stat {
    uint64_t device, inode, size, blocks, device_number;
    int64_t modified_seconds, changed_seconds;
    uint32_t modified_nanoseconds, changed_nanoseconds;
    uint32_t mode, user, group;
    uint64_t links;
};

// O_PATH and O_NOATIME, which the headers hide from Swift.
extern const int tree_path_only, tree_untraced;

int tree_open(int directory, const char *name, int flags, unsigned mode);
// `openat2` that neither leaves `directory` nor passes through any link.
int tree_open_beneath(int directory, const char *path, int flags);
// Neither follows a link nor starts an automount.
int tree_stat_at(int directory, const char *name, struct tree_stat *out);
int tree_stat_fd(int descriptor, struct tree_stat *out);
// 1 when the file system makes up the contents of its files while they are read (proc, sysfs and their like), so that the
// sizes it tells mean nothing; else 0.
int tree_is_made_up(int descriptor);
// Fills `buffer` with records of `getdents64`; 0 at the end.
long tree_list(int directory, void *buffer, size_t size);
long tree_link_target(int directory, const char *name, void *buffer, size_t size);
// The next offset of data (`wants_hole` 0) or of a hole.
int64_t tree_seek(int descriptor, int64_t offset, int wants_hole);

// 1 when the kernel has `listxattrat` and `getxattrat` (Linux 6.13); without them the calls below go through /proc.
int tree_has_attribute_calls(void);
// Extended attributes of a name, without following it when it is a link.
long tree_attribute_names_at(int directory, const char *name, void *buffer, size_t size, int uses_calls);
long tree_attribute_at(int directory, const char *name, const char *key, void *buffer, size_t size, int uses_calls);
long tree_attribute_names(int descriptor, void *buffer, size_t size);
long tree_attribute(int descriptor, const char *key, void *buffer, size_t size);

// What follows takes a descriptor of the object itself; `is_path` says that it was opened with O_PATH.
int tree_set_attribute(int descriptor, int is_path, const char *key, const void *value, size_t size);
int tree_remove_attribute(int descriptor, const char *key);
int tree_set_owner(int descriptor, uint32_t user, uint32_t group);
int tree_set_mode(int descriptor, int is_path, uint32_t mode);
// Leaves the time of access alone.
int tree_set_modified(int descriptor, int is_path, int64_t seconds, uint32_t nanoseconds);
// Gives the object behind `descriptor` one more name.
int tree_link(int descriptor, int directory, const char *name);
// Lets two names of one directory trade places at once.
int tree_exchange(int directory, const char *one, const char *other);
// Gives a name of a directory another one there, which nothing has yet; EEXIST otherwise.
int tree_rename_new(int directory, const char *from, const char *to);
int tree_unlink(int directory, const char *name);
// A read lease: EAGAIN while anybody has the file open for writing or mapped so. Who would open it to write or cut it waits
// until the lease is given back, at most for the time that the system sets; this process hears of it by asking only.
int tree_lease(int descriptor);
// 1 while nobody waits for the lease to end, 0 after that.
int tree_lease_holds(int descriptor);
int tree_end_lease(int descriptor);
int tree_allocate(int descriptor, uint64_t size);

// Lets the system begin to store what a range of a file holds in memory; does not wait for it. 0 for `size`: to the end.
int tree_start_storing(int descriptor, uint64_t offset, uint64_t size);
int tree_sync(int descriptor);

// Length of the name written to `buffer`, 0 when the host has none for this number.
long tree_user_name(uint32_t user, char *buffer, size_t size);
long tree_group_name(uint32_t group, char *buffer, size_t size);
// The number, -ENOENT when the host does not know the name.
int64_t tree_user_number(const char *name);
int64_t tree_group_number(const char *name);

// Writes a description of `number`, ended by a zero byte.
void tree_error_text(int number, char *buffer, size_t size);
