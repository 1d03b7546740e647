import Glibc
import Vault

/// Temporary files that killed processes left in this host's state.
///
/// Each carries the number of its process and is held open by it until it gets its name. Numbers are used again, so
/// what counts is whether that process has this very file open; one that cannot be looked into counts as if it had. A
/// process of another name space, or one that is hidden from this account, seems to be gone: so only what nobody wrote to
/// for a day goes.
enum StateLeftovers {
    /// Whatever cannot be removed stays: it costs space and nothing else.
    static func remove(from state: String) {
        // Without this every process would seem to be gone.
        guard access("/proc/self/fd", F_OK) == 0 else { return }
        let yesterday = time(nil) - 86_400
        for part in ["", "/catalog", "/trees", "/sessions", "/index", "/members", "/keys"] {
            let directory = state + part
            for name in (try? StateFile.list(directory)) ?? [] {
                guard let process = Self.process(of: name) else { continue }
                let path = "\(directory)/\(name)"
                var file = stat()
                guard lstat(path, &file) == 0, file.st_mode & S_IFMT == S_IFREG,
                    file.st_mtim.tv_sec < yesterday, !isOpen(file, in: process)
                else { continue }
                unlink(path)
            }
        }
    }

    /// Of `NAME.PROCESS.new` or `NAME.PROCESS.RANDOM.new`; nil for any other file.
    static func process(of name: String) -> pid_t? {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count >= 3, parts.last == "new" else { return nil }
        // What stands before a single number is the name.
        let hasRandom = parts.count >= 4 && pid_t(parts[parts.count - 3]) != nil
        guard let number = pid_t(parts[parts.count - (hasRandom ? 3 : 2)]), number > 0 else { return nil }
        return number
    }

    private static func isOpen(_ file: stat, in process: pid_t) -> Bool {
        guard let stream = opendir("/proc/\(process)/fd") else { return errno != ENOENT }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { raw in
                String(decoding: raw.prefix(while: { $0 != 0 }), as: UTF8.self)
            }
            var found = stat()
            // Follows the link, whatever the file is called by now.
            guard stat("/proc/\(process)/fd/\(name)", &found) == 0 else { continue }
            if found.st_dev == file.st_dev, found.st_ino == file.st_ino { return true }
        }
        return false
    }
}
