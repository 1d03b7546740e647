import Domain
import Glibc
import Synchronization

// Invariants of the local store, beside those of every store:
//
// 1. After opening no path is ever resolved: every call is relative to a held directory, symbolic links are refused.
// 2. A name appears by `link` or `rename` of a file that was synced under `tmp/`; then its directory is synced.
// 3. A directory is used for writing only after the directory above it was synced in this process with its name in it,
//    because whoever made it may have died before syncing.
// 4. Once the sync of a directory failed, this store writes nothing into that directory any more: a later sync could
//    report success for entries that the kernel has already dropped. Opening the store again clears this.

/// A store in a directory of this machine. Directories are 0700, files 0600.
package final class LocalStore: Store {
    package let describe: String
    let calls: any FileSystemCalls
    let root: Descriptor
    private let memory = Mutex(Memory())

    private struct Memory {
        /// Directories whose entry above was synced by this process.
        var durable: Set<String> = []
        /// Directories of which all that lay in them is among those.
        var surveyed: Set<String> = []
        /// Directories whose sync failed.
        var uncertain: Set<String> = []
        var exclusive: ExclusiveCreation?
    }

    /// How a name is taken so that only one can win.
    package enum ExclusiveCreation: Sendable {
        case link, rename
    }

    /// `packs` has 256.
    private static let mostDirectories = 1024

    /// More names than this in one listing are an error, not an exhausted memory.
    static let maximumListing = 1 << 24

    /// Opens an existing directory; fails with `noVault` when there is none.
    package convenience init(path: String) throws(VaultError) {
        try self.init(path: path, calls: LinuxCalls.shared)
    }

    package init(path: String, calls: any FileSystemCalls) throws(VaultError) {
        let number = Self.retrying { calls.open(path, in: AT_FDCWD, flags: O_RDONLY | O_DIRECTORY, mode: 0) }
        guard number >= 0 else {
            if number == -ENOENT || number == -ENOTDIR {
                throw VaultError(
                    .noVault, "there is no directory \(path)",
                    hint: "Check the path, and that its file system is mounted.")
            }
            throw .system(-number, "open the directory", in: path)
        }
        describe = path
        self.calls = calls
        root = Descriptor(number, calls)
    }

    /// Makes the directory and those above it, as far as they are missing, durably; then opens it.
    package static func creating(
        path: String, calls: any FileSystemCalls = LinuxCalls.shared
    ) throws(VaultError) -> LocalStore {
        var made = path.hasPrefix("/") ? "/" : "."
        for component in path.split(separator: "/") {
            let above = made
            made = made == "/" ? "/\(component)" : "\(made)/\(component)"
            let result = retrying { calls.makeDirectory(made, in: AT_FDCWD, mode: 0o700) }
            if result != 0, result != -EEXIST {
                // Some mounts refuse before they look; what counts is whether there is a directory.
                let seen = retrying { calls.open(made, in: AT_FDCWD, flags: O_RDONLY | O_DIRECTORY, mode: 0) }
                guard seen >= 0 || seen == -EACCES else { throw .system(-result, "make the directory", in: made) }
                if seen >= 0 { _ = Descriptor(seen, calls) }
            }
            // Also for one that was there: who made it may have died before this sync.
            try syncPath(above, isMine: result == 0, calls)
        }
        return try LocalStore(path: path, calls: calls)
    }

    private static func syncPath(_ path: String, isMine: Bool, _ calls: any FileSystemCalls) throws(VaultError) {
        let number = retrying { calls.open(path, in: AT_FDCWD, flags: O_RDONLY | O_DIRECTORY, mode: 0) }
        // Who may not read a directory has made nothing in it, and what lies in it was there before.
        if number == -EACCES, !isMine { return }
        guard number >= 0 else { throw .system(-number, "open the directory", in: path) }
        let directory = Descriptor(number, calls)
        let result = calls.syncDirectory(directory.number)
        // A read-only file system has nothing to sync, and says so in one of these ways.
        if result == -EINVAL || result == -EROFS, !isMine { return }
        guard result == 0 else { throw .system(-result, "sync the directory", in: path) }
    }

    // MARK: Writing

    package func put(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(VaultError) {
        let name = try ObjectName(name)
        let directory = try directoryForWriting(name.directory)
        let temporary = try TemporaryFile(in: self)
        try temporary.write(bytes, at: 0)
        try publish(temporary, as: name, in: directory)
    }

    package func putIfAbsent(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(VaultError) -> PutOutcome {
        let name = try ObjectName(name)
        let way = try exclusiveCreation()
        let directory = try directoryForWriting(name.directory)
        let temporary = try TemporaryFile(in: self)
        try temporary.write(bytes, at: 0)
        try temporary.sync()
        let result = Self.retrying { temporary.claim(name.last, in: directory.number, by: way) }
        if result != 0 {
            // Whatever the error said, the directory knows: a lost reply looks like EEXIST or EIO.
            if try temporary.stands(as: name.last, in: directory.number) {
                temporary.isTaken = way == .rename
            } else if result == -EEXIST {
                return try settle(name, bytes, against: temporary, in: directory)
            } else {
                throw .system(-result, "create \(name.text)", in: describe)
            }
        }
        try syncDirectory(directory, name.directory)
        return .created
    }

    /// The name is taken: tells equal bytes from others.
    ///
    /// Equal bytes are replaced by the own, synced file: whoever wrote them may have died, or failed, before the
    /// directory was synced, and a new entry is the only one this process can vouch for.
    private func settle(
        _ name: ObjectName, _ bytes: UnsafeRawBufferPointer, against temporary: TemporaryFile,
        in directory: borrowing Descriptor
    ) throws(VaultError) -> PutOutcome {
        let existing = try open(name.text)
        guard existing.length == UInt64(bytes.count) else { return .exists }
        var stored = [UInt8](repeating: 0, count: bytes.count)
        try stored.fill { (raw) throws(VaultError) in try existing.read(at: 0, into: raw) }
        let isSame = stored.withUnsafeBytes { raw in
            guard let a = raw.baseAddress, let b = bytes.baseAddress else { return bytes.isEmpty }
            return memcmp(a, b, bytes.count) == 0
        }
        guard isSame else { return .exists }
        try publish(temporary, as: name, in: directory)
        return .alreadyThere
    }

    package func create(_ name: String, sizeHint: Int) throws(VaultError) -> any ObjectUpload {
        let name = try ObjectName(name)
        _ = try directoryForWriting(name.directory)
        return try LocalUpload(name, in: self, sizeHint: sizeHint)
    }

    /// Syncs the file, moves it to its name and syncs the directory.
    func publish(
        _ temporary: TemporaryFile, as name: ObjectName, in directory: borrowing Descriptor
    ) throws(VaultError) {
        try temporary.sync()
        let number = directory.number
        let result = Self.retrying { temporary.replace(name.last, in: number) }
        if result != 0 {
            guard try temporary.stands(as: name.last, in: number) else {
                throw .system(-result, "create \(name.text)", in: describe)
            }
        }
        temporary.isTaken = true
        try syncDirectory(directory, name.directory)
    }

    package func delete(_ name: String) throws(VaultError) {
        let name = try ObjectName(name)
        guard let directory = try directory(name.directory) else { return try confirmRootExists() }
        try refuseIfUncertain(name.directory)
        let number = directory.number
        let result = Self.retrying { calls.unlink(name.last, in: number) }
        if result != 0, result != -ENOENT { throw .system(-result, "delete \(name.text)", in: describe) }
        try syncDirectory(directory, name.directory)
    }

    // MARK: Reading

    package func open(_ name: String) throws(VaultError) -> any ObjectReader {
        guard let reader = try reader(try ObjectName(name)) else {
            throw VaultError(
                .missingObject, "\(name) is missing in \(describe)",
                hint: "Run `qala verify` to see the extent; restore the object from the mirror or another copy.")
        }
        return reader
    }

    package func get(
        _ name: String, offset: UInt64, length: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(VaultError) {
        guard length >= 0, length <= buffer.count else {
            throw VaultError(.invalidInput, "a range of \(length) bytes does not fit its buffer")
        }
        try open(name).read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<length]))
    }

    package func get(_ name: String, limit: Int) throws(VaultError) -> [UInt8] {
        let reader = try open(name)
        guard reader.length <= UInt64(max(0, limit)) else {
            throw VaultError(
                .limit, "\(name) in \(describe) has \(reader.length) bytes where at most \(limit) are expected",
                hint: "Run `qala verify`; the object is damaged or not what its name says.")
        }
        var bytes = [UInt8](repeating: 0, count: Int(reader.length))
        try bytes.fill { (raw) throws(VaultError) in try reader.read(at: 0, into: raw) }
        return bytes
    }

    package func length(of name: String) throws(VaultError) -> UInt64? {
        try reader(try ObjectName(name))?.length
    }

    /// Nil only when the object does not exist.
    private func reader(_ name: ObjectName) throws(VaultError) -> LocalReader? {
        guard let directory = try directory(name.directory) else {
            try confirmRootExists()
            return nil
        }
        let number = directory.number
        // Without O_NONBLOCK a planted fifo would hold the thread forever.
        let opened = Self.retrying {
            calls.open(name.last, in: number, flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, mode: 0)
        }
        if opened == -ENOENT {
            try confirmRootExists()
            return nil
        }
        if opened == -ELOOP || opened == -ENXIO { throw notAFile(name.text) }
        guard opened >= 0 else { throw .system(-opened, "open \(name.text)", in: describe) }
        let file = Descriptor(opened, calls)
        var status = FileStatus()
        let result = Self.retrying { calls.status(of: opened, into: &status) }
        guard result == 0 else { throw .system(-result, "inspect \(name.text)", in: describe) }
        guard status.isRegularFile else { throw notAFile(name.text) }
        return LocalReader(file, length: status.size, name: name.text, place: describe, calls: calls)
    }

    func notAFile(_ name: String) -> VaultError { .damaged("\(name) in \(describe) is not a regular file") }

    // MARK: Directories

    /// Opens a directory of objects, nil when it does not exist.
    func directory(_ components: [String]) throws(VaultError) -> Descriptor? {
        var current = try descend(".", in: root.number, components)
        for component in components {
            let number = current.number
            let next = Self.retrying {
                calls.open(component, in: number, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW, mode: 0)
            }
            if next == -ENOENT { return nil }
            guard next >= 0 else { throw directoryError(next, components) }
            current = Descriptor(next, calls)
        }
        return current
    }

    private func descend(
        _ component: String, in number: Int32, _ components: [String]
    ) throws(VaultError) -> Descriptor {
        let next = Self.retrying {
            calls.open(component, in: number, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW, mode: 0)
        }
        guard next >= 0 else { throw directoryError(next, components) }
        return Descriptor(next, calls)
    }

    private func directoryError(_ result: Int32, _ components: [String]) -> VaultError {
        if result == -ELOOP || result == -ENOTDIR {
            return .damaged("\(components.joined(separator: "/")) in \(describe) is not a directory")
        }
        return .system(-result, "open the directory \(components.joined(separator: "/"))", in: describe)
    }

    /// Opens a directory of objects, making it and those above it; each new entry is durable before it is used.
    func directoryForWriting(_ components: [String]) throws(VaultError) -> Descriptor {
        try refuseIfUncertain(components)
        var current = try descend(".", in: root.number, components)
        for depth in components.indices {
            let above = Array(components[..<depth])
            let path = components[...depth].joined(separator: "/")
            let number = current.number
            let isDurable = memory.withLock { $0.durable.contains(path) }
            if !isDurable {
                try refuseIfUncertain(above)
                let made = Self.retrying { calls.makeDirectory(components[depth], in: number, mode: 0o700) }
                guard made == 0 || made == -EEXIST else {
                    throw .system(-made, "make the directory \(path)", in: describe)
                }
                let beside = namesBefore(syncing: current, above)
                do throws(VaultError) {
                    try syncDirectory(current, above)
                } catch {
                    // So that the next attempt makes a new entry. A failure here leaves what invariant 4 guards.
                    if made == 0 { _ = calls.removeDirectory(components[depth], in: number) }
                    throw error
                }
                memory.withLock { $0.durable.formUnion(beside + [path]) }
            }
            current = try descend(components[depth], in: number, components)
        }
        return current
    }

    /// What lies in a directory that is about to be synced for the first time: that one sync serves all of it.
    private func namesBefore(syncing directory: borrowing Descriptor, _ components: [String]) -> [String] {
        let path = components.joined(separator: "/")
        guard memory.withLock({ $0.surveyed.insert(path).inserted }) else { return [] }
        var names: [[UInt8]] = []
        let number = directory.number
        // Of more than any directory of directories has, and of one that cannot be listed, each is synced for itself.
        while Self.retrying({ calls.readDirectory(number, into: &names) }) > 0, names.count <= Self.mostDirectories {}
        guard names.count <= Self.mostDirectories else { return [] }
        return names.filter(ObjectName.isComponent).map {
            (components + [String(decoding: $0, as: UTF8.self)]).joined(separator: "/")
        }
    }

    func syncDirectory(_ directory: borrowing Descriptor, _ components: [String]) throws(VaultError) {
        let result = calls.syncDirectory(directory.number)
        if result == 0 { return }
        _ = memory.withLock { $0.uncertain.insert(components.joined(separator: "/")) }
        throw .system(-result, "sync the directory \"\(components.joined(separator: "/"))\"", in: describe)
    }

    private func refuseIfUncertain(_ components: [String]) throws(VaultError) {
        let path = components.joined(separator: "/")
        guard memory.withLock({ $0.uncertain.contains(path) }) else { return }
        throw VaultError(
            .io, "an earlier sync of the directory \"\(path)\" in \(describe) failed; nothing more is written there",
            hint: "Check the disk and the kernel log, then run the operation again.")
    }

    /// "No such file" counts as absence only while the store itself is there.
    func confirmRootExists() throws(VaultError) {
        var status = FileStatus()
        let result = Self.retrying { calls.status(of: root.number, into: &status) }
        guard result == 0 else { throw .system(-result, "inspect the directory", in: describe) }
        guard status.links > 0 else {
            throw VaultError(
                .noVault, "the directory \(describe) was removed", hint: "Check the path and its file system.")
        }
    }

    // MARK: Exclusive creation

    /// The way that ``probe()`` found, probing on first use.
    func exclusiveCreation() throws(VaultError) -> ExclusiveCreation {
        if let known = memory.withLock({ $0.exclusive }) { return known }
        return try probe()
    }

    /// Finds out how this file system lets only one creator of a name win; fails where it cannot.
    @discardableResult
    package func probe() throws(VaultError) -> ExclusiveCreation {
        for way in [ExclusiveCreation.link, .rename] where try holds(way) {
            memory.withLock { $0.exclusive = way }
            return way
        }
        throw VaultError(
            .io, "the file system of \(describe) can neither link files nor rename them without replacing",
            hint: "Put the vault on a Linux file system such as ext4, XFS, Btrfs or ZFS.")
    }

    /// Whether the first claim of a name succeeds and the second one is refused.
    private func holds(_ way: ExclusiveCreation) throws(VaultError) -> Bool {
        let first = try TemporaryFile(in: self)
        let second = try TemporaryFile(in: self)
        let name = "probe-\(Hex.encode(calls.random()))"
        let claimed = Self.retrying { first.claim(name, in: first.directory.number, by: way) }
        switch claimed {
        case 0: break
        case -EPERM, -EOPNOTSUPP, -ENOSYS, -EINVAL, -EMLINK, -EACCES: return false
        default: throw .system(-claimed, "probe the file system", in: describe)
        }
        let again = Self.retrying { second.claim(name, in: second.directory.number, by: way) }
        let removed = Self.retrying { calls.unlink(name, in: first.directory.number) }
        guard removed == 0 || removed == -ENOENT else {
            throw .system(-removed, "probe the file system", in: describe)
        }
        return again == -EEXIST
    }

    /// Repeats a call that a signal interrupted. Never for a sync: its outcome would be lost.
    static func retrying<Result: SignedInteger>(_ call: () -> Result) -> Result {
        while true {
            let result = call()
            if result != -Result(EINTR) { return result }
        }
    }
}
