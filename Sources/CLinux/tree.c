#define _GNU_SOURCE
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/openat2.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

// The numbers are the same on every architecture; headers older than Linux 6.13 lack them.
#define CALL_GETXATTRAT 464
#define CALL_LISTXATTRAT 465

#define RETRY(variable, call)                             \
    do {                                                  \
        (variable) = (call);                              \
    } while ((variable) < 0 && errno == EINTR)

#define RESULT(variable) ((variable) < 0 ? -errno : (variable))

const int tree_path_only = O_PATH, tree_untraced = O_NOATIME;

int tree_open(int directory, const char *name, int flags, unsigned mode) {
    int result;
    RETRY(result, openat(directory, name, flags | O_CLOEXEC, mode));
    return RESULT(result);
}

int tree_open_beneath(int directory, const char *path, int flags) {
    struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long result;
    // EAGAIN: a rename elsewhere kept the kernel from proving that the path stays beneath; bounded, as an attacker
    // could rename for ever.
    for (int attempt = 0; attempt < 100; attempt++) {
        RETRY(result, syscall(SYS_openat2, directory, path, &how, sizeof how));
        if (result >= 0 || errno != EAGAIN) break;
    }
    return (int)RESULT(result);
}

static void convert(const struct stat *in, struct tree_stat *out) {
    out->device = in->st_dev;
    out->inode = in->st_ino;
    out->size = in->st_size < 0 ? 0 : (uint64_t)in->st_size;
    out->blocks = (uint64_t)in->st_blocks;
    out->device_number = in->st_rdev;
    out->modified_seconds = in->st_mtim.tv_sec;
    out->modified_nanoseconds = (uint32_t)in->st_mtim.tv_nsec;
    out->changed_seconds = in->st_ctim.tv_sec;
    out->changed_nanoseconds = (uint32_t)in->st_ctim.tv_nsec;
    out->mode = in->st_mode;
    out->user = in->st_uid;
    out->group = in->st_gid;
    out->links = in->st_nlink;
}

int tree_stat_at(int directory, const char *name, struct tree_stat *out) {
    struct stat status;
    int result;
    RETRY(result, fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT));
    if (result < 0) return -errno;
    convert(&status, out);
    return 0;
}

int tree_stat_fd(int descriptor, struct tree_stat *out) {
    struct stat status;
    int result;
    RETRY(result, fstat(descriptor, &status));
    if (result < 0) return -errno;
    convert(&status, out);
    return 0;
}

long tree_list(int directory, void *buffer, size_t size) {
    long result;
    RETRY(result, syscall(SYS_getdents64, directory, buffer, size));
    return RESULT(result);
}

long tree_link_target(int directory, const char *name, void *buffer, size_t size) {
    long result;
    RETRY(result, readlinkat(directory, name, buffer, size));
    return RESULT(result);
}

int64_t tree_seek(int descriptor, int64_t offset, int wants_hole) {
    off_t result = lseek(descriptor, (off_t)offset, wants_hole ? SEEK_HOLE : SEEK_DATA);
    return RESULT(result);
}

struct attribute_arguments {
    uint64_t value;
    uint32_t size, flags;
};

int tree_has_attribute_calls(void) {
    // A descriptor that cannot exist: a kernel that knows the call says EBADF.
    return syscall(CALL_LISTXATTRAT, -1, "x", AT_SYMLINK_NOFOLLOW, NULL, 0) < 0 && errno == EBADF;
}

// "/proc/self/fd/N/name" in `path`; 0 when it does not fit.
static int proc_path(char *path, size_t size, int descriptor, const char *name) {
    int length = name == NULL ? snprintf(path, size, "/proc/self/fd/%d", descriptor)
                              : snprintf(path, size, "/proc/self/fd/%d/%s", descriptor, name);
    return length > 0 && (size_t)length < size;
}

long tree_attribute_names_at(int directory, const char *name, void *buffer, size_t size, int uses_calls) {
    long result;
    if (uses_calls) {
        RETRY(result, syscall(CALL_LISTXATTRAT, directory, name, AT_SYMLINK_NOFOLLOW, buffer, size));
        return RESULT(result);
    }
    char path[PATH_MAX];
    if (!proc_path(path, sizeof path, directory, name)) return -ENAMETOOLONG;
    RETRY(result, llistxattr(path, buffer, size));
    return RESULT(result);
}

long tree_attribute_at(int directory, const char *name, const char *key, void *buffer, size_t size, int uses_calls) {
    long result;
    if (uses_calls) {
        struct attribute_arguments arguments = {(uint64_t)(uintptr_t)buffer, (uint32_t)size, 0};
        RETRY(result, syscall(CALL_GETXATTRAT, directory, name, AT_SYMLINK_NOFOLLOW, key, &arguments, sizeof arguments));
        return RESULT(result);
    }
    char path[PATH_MAX];
    if (!proc_path(path, sizeof path, directory, name)) return -ENAMETOOLONG;
    RETRY(result, lgetxattr(path, key, buffer, size));
    return RESULT(result);
}

long tree_attribute_names(int descriptor, void *buffer, size_t size) {
    long result;
    RETRY(result, flistxattr(descriptor, buffer, size));
    return RESULT(result);
}

long tree_attribute(int descriptor, const char *key, void *buffer, size_t size) {
    long result;
    RETRY(result, fgetxattr(descriptor, key, buffer, size));
    return RESULT(result);
}

int tree_set_attribute(int descriptor, int is_path, const char *key, const void *value, size_t size) {
    int result;
    if (!is_path) {
        RETRY(result, fsetxattr(descriptor, key, value, size, 0));
        return RESULT(result);
    }
    char path[64];
    if (!proc_path(path, sizeof path, descriptor, NULL)) return -ENAMETOOLONG;
    RETRY(result, setxattr(path, key, value, size, 0));
    return RESULT(result);
}

int tree_remove_attribute(int descriptor, const char *key) {
    int result;
    RETRY(result, fremovexattr(descriptor, key));
    return RESULT(result);
}

int tree_set_owner(int descriptor, uint32_t user, uint32_t group) {
    int result;
    RETRY(result, fchownat(descriptor, "", user, group, AT_EMPTY_PATH));
    return RESULT(result);
}

int tree_set_mode(int descriptor, int is_path, uint32_t mode) {
    int result;
    if (!is_path) {
        RETRY(result, fchmod(descriptor, mode));
        return RESULT(result);
    }
    char path[64];
    if (!proc_path(path, sizeof path, descriptor, NULL)) return -ENAMETOOLONG;
    RETRY(result, chmod(path, mode));
    return RESULT(result);
}

int tree_set_modified(int descriptor, int is_path, int64_t seconds, uint32_t nanoseconds) {
    struct timespec times[2] = {{0, UTIME_OMIT}, {seconds, nanoseconds}};
    int result;
    if (is_path) {
        RETRY(result, utimensat(descriptor, "", times, AT_EMPTY_PATH));
    } else {
        RETRY(result, futimens(descriptor, times));
    }
    return RESULT(result);
}

int tree_link(int descriptor, int directory, const char *name) {
    char path[64];
    if (!proc_path(path, sizeof path, descriptor, NULL)) return -ENAMETOOLONG;
    int result;
    RETRY(result, linkat(AT_FDCWD, path, directory, name, AT_SYMLINK_FOLLOW));
    return RESULT(result);
}

int tree_exchange(int directory, const char *one, const char *other) {
    int result;
    RETRY(result, renameat2(directory, one, directory, other, RENAME_EXCHANGE));
    return RESULT(result);
}

int tree_rename_new(int directory, const char *from, const char *to) {
    int result;
    RETRY(result, renameat2(directory, from, directory, to, RENAME_NOREPLACE));
    return RESULT(result);
}

int tree_unlink(int directory, const char *name) {
    int result;
    RETRY(result, unlinkat(directory, name, 0));
    return RESULT(result);
}

int tree_lease(int descriptor) {
    // Its usual signal, SIGIO, would end the process; this one is ignored by whoever does not ask for it.
    if (fcntl(descriptor, F_SETSIG, SIGURG) < 0) return -errno;
    int result;
    RETRY(result, fcntl(descriptor, F_SETLEASE, F_RDLCK));
    return RESULT(result);
}

int tree_lease_holds(int descriptor) {
    // While it is being broken the system tells the lease that would be compatible.
    return fcntl(descriptor, F_GETLEASE) == F_RDLCK;
}

int tree_end_lease(int descriptor) {
    int result;
    RETRY(result, fcntl(descriptor, F_SETLEASE, F_UNLCK));
    return RESULT(result);
}

int tree_allocate(int descriptor, uint64_t size) {
    int result;
    RETRY(result, fallocate(descriptor, 0, 0, (off_t)size));
    return RESULT(result);
}

int tree_start_storing(int descriptor, uint64_t offset, uint64_t size) {
    int result;
    RETRY(result, sync_file_range(descriptor, (off_t)offset, (off_t)size, SYNC_FILE_RANGE_WRITE));
    return RESULT(result);
}

int tree_is_made_up(int descriptor) {
    // From linux/magic.h, where older headers lack some of them.
    static const uint32_t types[] = {
        0x00009fa0, // proc
        0x62656572, // sysfs
        0x0027e0eb, // cgroup
        0x63677270, // cgroup2
        0x64626720, // debugfs
        0x74726163, // tracefs
        0x73636673, // securityfs
        0x62656570, // configfs
        0xf97cff8c, // selinuxfs
        0x43415d53, // smackfs
        0x5a3c69f0, // apparmorfs
        0x07655821, // resctrl
        0x42494e4d, // binfmt_misc
        0x65735543, // fusectl
        0xabba1974, // xenfs
    };
    struct statfs info;
    int result;
    RETRY(result, fstatfs(descriptor, &info));
    if (result < 0) return 0;
    for (size_t at = 0; at < sizeof types / sizeof types[0]; at++)
        if ((uint32_t)info.f_type == types[at]) return 1;
    return 0;
}

int tree_sync(int descriptor) {
    int result;
    RETRY(result, syncfs(descriptor));
    return RESULT(result);
}

// Repeats a look-up with a buffer that grows until the record of the user or group fits.
#define LOOK_UP(record_type, call, use)                                   \
    do {                                                                  \
        for (size_t room = 4096; room <= (1u << 24); room *= 4) {         \
            char *scratch = malloc(room);                                 \
            if (scratch == NULL) return -ENOMEM;                          \
            record_type record, *found = NULL;                            \
            int code = (call);                                            \
            if (code == EINTR) code = ERANGE;                             \
            if (code == ERANGE) {                                         \
                free(scratch);                                            \
                continue;                                                 \
            }                                                             \
            int is_missing = code == 0 || code == ENOENT || code == ESRCH \
                || code == EBADF || code == EPERM;                        \
            int64_t result = found != NULL ? (int64_t)(use)               \
                                           : (is_missing ? missing : -(int64_t)code); \
            free(scratch);                                                \
            return result;                                                \
        }                                                                 \
        return -ERANGE;                                                   \
    } while (0)

static int64_t keep(const char *name, char *buffer, size_t size) {
    size_t length = strlen(name);
    if (length > size) return -ERANGE;
    memcpy(buffer, name, length);
    return (int64_t)length;
}

long tree_user_name(uint32_t user, char *buffer, size_t size) {
    const int64_t missing = 0;
    LOOK_UP(struct passwd, getpwuid_r(user, &record, scratch, room, &found), keep(found->pw_name, buffer, size));
}

long tree_group_name(uint32_t group, char *buffer, size_t size) {
    const int64_t missing = 0;
    LOOK_UP(struct group, getgrgid_r(group, &record, scratch, room, &found), keep(found->gr_name, buffer, size));
}

int64_t tree_user_number(const char *name) {
    const int64_t missing = -ENOENT;
    LOOK_UP(struct passwd, getpwnam_r(name, &record, scratch, room, &found), found->pw_uid);
}

int64_t tree_group_number(const char *name) {
    const int64_t missing = -ENOENT;
    LOOK_UP(struct group, getgrnam_r(name, &record, scratch, room, &found), found->gr_gid);
}

void tree_error_text(int number, char *buffer, size_t size) {
    if (size == 0) return;
    const char *text = strerror_r(number, buffer, size);
    if (text == buffer) return;
    strncpy(buffer, text, size - 1);
    buffer[size - 1] = 0;
}
