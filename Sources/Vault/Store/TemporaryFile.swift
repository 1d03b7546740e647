import Domain
import Glibc

/// A file under `tmp/` on its way to becoming an object; removed again when it goes away without having become one.
///
/// Its name carries the process and a random number, and an exclusive `flock` is held on it as long as it is open:
/// what can be locked belongs to nobody any more. A removal that fails leaves such a file for
/// ``LocalStore/removeStaleTemporaries()``.
final class TemporaryFile {
    let file: Descriptor
    let directory: Descriptor
    let name: String
    private let status: FileStatus
    private let store: LocalStore
    private var isSynced = false
    /// The name under `tmp/` is gone because the file was renamed.
    var isTaken = false

    init(in store: LocalStore) throws(VaultError) {
        self.store = store
        let calls = store.calls
        let directory = try store.directoryForWriting([ObjectName.temporaryDirectory])
        for _ in 0..<100 {
            let name = "\(getpid())-\(Hex.encode(calls.random()))"
            let number = directory.number
            let opened = LocalStore.retrying {
                calls.open(name, in: number, flags: O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
            }
            if opened == -EEXIST { continue }
            guard opened >= 0 else { throw .system(-opened, "create a temporary file", in: store.describe) }
            let file = Descriptor(opened, calls)
            var status = FileStatus()
            let locked = LocalStore.retrying { calls.tryLock(opened) }
            // A cleaner may have seen the file before it was locked; it then removes it.
            if locked == -EWOULDBLOCK { continue }
            var failure = locked
            if failure == 0 { failure = LocalStore.retrying { calls.status(of: opened, into: &status) } }
            guard failure == 0 else {
                _ = calls.unlink(name, in: number)
                throw .system(-failure, "lock a temporary file", in: store.describe)
            }
            if status.links == 0 { continue }
            self.file = file
            self.directory = directory
            self.name = name
            self.status = status
            return
        }
        throw VaultError(.io, "cannot find a free temporary name in \(store.describe)")
    }

    deinit {
        if !isTaken { _ = store.calls.unlink(name, in: directory.number) }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(VaultError) {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let written = LocalStore.retrying { store.calls.write(file.number, rest, at: offset + UInt64(done)) }
            guard written > 0 else {
                throw .system(written < 0 ? Int32(-written) : EIO, "write an object", in: store.describe)
            }
            done += written
        }
    }

    /// Once; a failure is final for this file.
    func sync() throws(VaultError) {
        if isSynced { return }
        let result = store.calls.syncFile(file.number)
        guard result == 0 else { throw .system(-result, "sync an object", in: store.describe) }
        isSynced = true
    }

    /// Takes the name only if it is free; EEXIST otherwise.
    func claim(_ newName: String, in newDirectory: Int32, by way: LocalStore.ExclusiveCreation) -> Int32 {
        switch way {
        case .link: return store.calls.link(name, in: directory.number, to: newName, in: newDirectory)
        case .rename:
            let result = store.calls.rename(
                name, in: directory.number, to: newName, in: newDirectory, exclusive: true)
            if result == 0 { isTaken = true }
            return result
        }
    }

    func replace(_ newName: String, in newDirectory: Int32) -> Int32 {
        store.calls.rename(name, in: directory.number, to: newName, in: newDirectory, exclusive: false)
    }

    /// Whether the name stands for this very file.
    func stands(as newName: String, in newDirectory: Int32) throws(VaultError) -> Bool {
        var found = FileStatus()
        let result = LocalStore.retrying { store.calls.status(of: newName, in: newDirectory, into: &found) }
        if result == -ENOENT { return false }
        guard result == 0 else { throw .system(-result, "inspect \(newName)", in: store.describe) }
        return found.isSameFile(as: status)
    }
}

extension LocalStore {
    /// Removes what died writers left under `tmp/`; returns how many files. Files in use are locked and stay.
    @discardableResult
    package func removeStaleTemporaries() throws(VaultError) -> Int {
        let components = [ObjectName.temporaryDirectory]
        guard let directory = try directory(components) else { return 0 }
        var removed = 0
        for raw in try names(in: directory, components) where ObjectName.isComponent(raw) {
            let name = String(decoding: raw, as: UTF8.self)
            let number = directory.number
            let opened = Self.retrying {
                calls.open(name, in: number, flags: O_RDWR | O_NOFOLLOW | O_NONBLOCK, mode: 0)
            }
            if opened == -ENOENT { continue }
            guard opened >= 0 else { throw .system(-opened, "open tmp/\(name)", in: describe) }
            let file = Descriptor(opened, calls)
            let locked = Self.retrying { calls.tryLock(file.number) }
            if locked == -EWOULDBLOCK { continue }
            guard locked == 0 else { throw .system(-locked, "lock tmp/\(name)", in: describe) }
            let result = Self.retrying { calls.unlink(name, in: number) }
            guard result == 0 || result == -ENOENT else {
                throw .system(-result, "delete tmp/\(name)", in: describe)
            }
            removed += result == 0 ? 1 : 0
        }
        return removed
    }
}

extension Hex {
    static func encode(_ value: UInt64) -> String { withUnsafeBytes(of: value.bigEndian) { encode($0) } }
}
