import Collectors
import Domain
import Glibc

/// Where tablespaces are: what PostgreSQL reads from `tablespace_map`, one line `OID PATH` for each, `\` before line ends and
/// itself.
enum TablespaceMap {
    struct Space: Equatable {
        var id: String
        var place: String
    }

    /// `moved` has new places by old ones or by numbers; one that moves nothing is a mistake.
    static func parse(_ map: [UInt8], moved: [String: String] = [:]) throws -> [Space] {
        var spaces: [Space] = []
        var unused = Set(moved.keys)
        for line in lines(map) where !line.isEmpty {
            guard let space = line.firstIndex(of: 0x20), space > 0, space <= 10,
                line[..<space].allSatisfy({ (0x30...0x39).contains($0) }),
                let place = String(validating: line[(space + 1)...], as: UTF8.self), place.hasPrefix("/")
            else {
                throw OperationError(
                    .damaged, "the tablespace_map of the archive is malformed", hint: "Verify the vault.")
            }
            let id = String(decoding: line[..<space], as: UTF8.self)
            let key = moved[place] != nil ? place : id
            unused.remove(key)
            spaces.append(Space(id: id, place: moved[key] ?? place))
        }
        if let first = unused.min() {
            let places = spaces.map { "\($0.id) \($0.place)" }.joined(separator: ", ")
            throw OperationError(
                .usage, "the archive has no tablespace \(first)",
                hint: spaces.isEmpty ? "It has none at all." : "It has \(places).")
        }
        return spaces
    }

    static func bytes(of spaces: [Space]) -> [UInt8] {
        spaces.flatMap { space in
            let place = space.place.utf8.flatMap { byte -> [UInt8] in
                byte == 0x0A || byte == 0x0D || byte == 0x5C ? [0x5C, byte] : [byte]
            }
            return Array(space.id.utf8) + [0x20] + place + [0x0A]
        }
    }

    /// Ended by line feeds, without the `\` before what it takes the meaning from.
    private static func lines(_ map: [UInt8]) -> [[UInt8]] {
        var lines: [[UInt8]] = [[]]
        var isTaken = false
        for byte in map {
            if !isTaken, byte == 0x5C {
                isTaken = true
                continue
            }
            if !isTaken, byte == 0x0A || byte == 0x0D {
                lines.append([])
            } else {
                lines[lines.count - 1].append(byte)
            }
            isTaken = false
        }
        return lines
    }
}

/// The few files of a restored cluster that are not as archived. No link is followed, and nothing that exists is overwritten.
struct ClusterFiles {
    let folder: DirectoryHandle
    /// The path of the folder, for people.
    let directory: String
    let owner: Owner

    typealias Owner = (user: UInt32, group: UInt32, permissions: UInt16)

    /// With these a server would follow the primary of its origin, or wait for WAL for ever.
    func removeSignals() throws {
        for name in ["standby.signal", "recovery.signal"] where unlinkat(folder.number, name, 0) != 0 && errno != ENOENT
        {
            throw failure("cannot remove", name)
        }
    }

    /// `folder` is that in which the last part of the name is; that of the cluster when nil.
    func write(_ name: String, _ bytes: [UInt8], in folder: DirectoryHandle? = nil) throws {
        try put(name, bytes, O_CREAT | O_EXCL, in: folder)
    }

    /// Settings behind those that are there: of several of one name the last counts.
    func append(_ name: String, _ settings: [(name: String, value: String)]) throws {
        var text = "\n# Written by qala with the restore.\n"
        for setting in settings {
            let value = setting.value.replacing("\\", with: "\\\\").replacing("'", with: "''")
            text += "\(setting.name) = '\(value)'\n"
        }
        try put(name, Array(text.utf8), O_CREAT | O_APPEND)
    }

    private func put(_ name: String, _ bytes: [UInt8], _ flags: Int32, in folder: DirectoryHandle? = nil) throws {
        let flags = O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags
        let last = name.split(separator: "/").last.map(String.init) ?? name
        let file = openat((folder ?? self.folder).number, last, flags, 0o600)
        guard file >= 0 else { throw failure("cannot write", name) }
        defer { close(file) }
        var info = stat()
        guard fstat(file, &info) == 0, info.st_mode & S_IFMT == S_IFREG, info.st_nlink == 1 else {
            throw OperationError(.failed, "\(directory)/\(name) is not a file of its own", hint: "Restore elsewhere.")
        }
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure("cannot write", name) }
            done += count
        }
        // Only root may give it away; for anybody else it is theirs already.
        if geteuid() == 0, fchown(file, owner.user, owner.group) != 0 { throw failure("cannot give away", name) }
        guard fsync(file) == 0 else { throw failure("cannot sync", name) }
    }

    /// A file that is directly in `folder`, to the cluster's owner.
    func give(file name: String, in folder: DirectoryHandle) throws {
        guard geteuid() == 0 else { return }
        guard fchownat(folder.number, name, owner.user, owner.group, AT_SYMLINK_NOFOLLOW) == 0 else {
            throw failure("cannot give away", name)
        }
    }

    func sync() throws {
        guard let global = folder.directory("global") else { throw failure("cannot open", "global") }
        for one in [folder, global] where fsync(one.number) != 0 { throw failure("cannot sync", "") }
    }

    /// Owner and permissions of a directory that was restored into; `path` is its own.
    static func give(
        _ folder: DirectoryHandle, _ path: String, to owner: (user: UInt32, group: UInt32), _ permissions: UInt16
    ) throws {
        if geteuid() == 0, fchown(folder.number, owner.user, owner.group) != 0 {
            throw Self.failure("cannot give away", path)
        }
        guard fchmod(folder.number, mode_t(permissions)) == 0 else { throw Self.failure("cannot give rights to", path) }
        guard fsync(folder.number) == 0 else { throw Self.failure("cannot sync", path) }
    }

    private func failure(_ what: String, _ name: String) -> OperationError {
        Self.failure(what, name.isEmpty ? directory : "\(directory)/\(name)")
    }

    private static func failure(_ what: String, _ path: String) -> OperationError {
        OperationError(
            .failed, "\(what) \(path): \(CollectorError.systemText(errno))",
            hint: ClusterPlace.again)
    }
}
