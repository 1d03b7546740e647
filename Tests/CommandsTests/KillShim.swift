import Foundation
import Glibc
import Testing

/// A library that is loaded before the real one and counts the calls that change files; at the chosen one the process
/// dies as by `kill -9`. The product knows nothing of it.
enum KillShim {
    private static let source = #"""
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <fcntl.h>
        #include <signal.h>
        #include <stdarg.h>
        #include <stdatomic.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <sys/stat.h>
        #include <sys/types.h>
        #include <unistd.h>

        static atomic_long calls;

        static void step(void) {
            static long last = -1;
            if (last < 0) {
                const char *text = getenv("KILL_AT");
                last = text ? atol(text) : 0;
            }
            if (atomic_fetch_add(&calls, 1) + 1 == last) kill(getpid(), SIGKILL);
        }

        __attribute__((destructor)) static void tell(void) {
            const char *path = getenv("KILL_COUNT");
            FILE *file = path ? fopen(path, "w") : NULL;
            if (!file) return;
            fprintf(file, "%ld", atomic_load(&calls));
            fclose(file);
        }

        #define SHIM(type, name, parameters, arguments) \
            type name parameters { \
                static type(*real) parameters; \
                if (!real) real = (type(*) parameters)dlsym(RTLD_NEXT, #name); \
                step(); \
                return real arguments; \
            }

        SHIM(ssize_t, write, (int fd, const void *bytes, size_t count), (fd, bytes, count))
        SHIM(ssize_t, pwrite, (int fd, const void *bytes, size_t count, off_t at), (fd, bytes, count, at))
        SHIM(ssize_t, pwrite64, (int fd, const void *bytes, size_t count, off64_t at), (fd, bytes, count, at))
        SHIM(int, fsync, (int fd), (fd))
        SHIM(int, fdatasync, (int fd), (fd))
        SHIM(int, ftruncate, (int fd, off_t length), (fd, length))
        SHIM(int, ftruncate64, (int fd, off64_t length), (fd, length))
        SHIM(int, linkat, (int a, const char *x, int b, const char *y, int flags), (a, x, b, y, flags))
        SHIM(int, rename, (const char *x, const char *y), (x, y))
        SHIM(int, renameat, (int a, const char *x, int b, const char *y), (a, x, b, y))
        SHIM(int, renameat2, (int a, const char *x, int b, const char *y, unsigned flags), (a, x, b, y, flags))
        SHIM(int, unlink, (const char *x), (x))
        SHIM(int, unlinkat, (int a, const char *x, int flags), (a, x, flags))
        SHIM(int, mkdir, (const char *x, mode_t mode), (x, mode))
        SHIM(int, mkdirat, (int a, const char *x, mode_t mode), (a, x, mode))
        SHIM(int, fchmod, (int fd, mode_t mode), (fd, mode))
        SHIM(int, utimensat, (int a, const char *x, const struct timespec *t, int flags), (a, x, t, flags))

        long syscall(long number, ...) {
            static long (*real)(long, ...);
            if (!real) real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
            va_list list;
            va_start(list, number);
            long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long);
            long d = va_arg(list, long), e = va_arg(list, long), f = va_arg(list, long);
            va_end(list);
            step();
            return real(number, a, b, c, d, e, f);
        }
        """#

    /// Compiles the library into `folder`; returns its path.
    static func build(in folder: URL) throws -> String {
        let file = folder.appending(path: "shim.c")
        try source.write(to: file, atomically: false, encoding: .utf8)
        let library = folder.appending(path: "shim.so").path
        let compiled = try ProcessRunner.run(
            "/usr/bin/env", ["cc", "-shared", "-fPIC", "-O1", "-o", library, file.path, "-ldl"],
            environment: ProcessInfo.processInfo.environment, in: folder)
        try #require(compiled.status == 0, "the shim does not compile: \(compiled.errorText)")
        return library
    }
}

extension World {
    /// Runs the binary until its call number `call`; nil lets it finish.
    func qala(_ arguments: [String], shim: String, killedAt call: Int?) throws -> Finished {
        try qala(
            arguments,
            more: ["LD_PRELOAD": shim, "KILL_COUNT": path("calls"), "KILL_AT": call.map(String.init) ?? "0"])
    }

    /// How many calls the last run made that was not killed.
    func countedCalls() throws -> Int {
        let text = try String(contentsOf: url("calls"), encoding: .utf8)
        return try #require(Int(text))
    }
}
