package import Domain
package import Vault
import Glibc
import Synchronization

/// A directory for host states, in memory where the machine has such a place, removed with its last reference.
package final class WorkloadPlace: Sendable {
    /// Contents of files by relative path.
    package typealias Snapshot = [String: [UInt8]]
    package let path: String

    package init() throws {
        let base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        var template = Array("\(base)/qala-host-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw WorkloadMismatch("no directory can be made in \(base)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// A copy of a state as it was.
    package convenience init(_ snapshot: Snapshot) throws {
        try self.init()
        for (name, bytes) in snapshot {
            var made = path
            for part in name.split(separator: "/").dropLast() {
                made += "/\(part)"
                mkdir(made, 0o700)
            }
            let file = open("\(path)/\(name)", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
            guard file >= 0 else { throw WorkloadMismatch("\(name) cannot be made") }
            defer { close(file) }
            guard write(file, bytes, bytes.count) == bytes.count else {
                throw WorkloadMismatch("\(name) cannot be written")
            }
        }
    }

    deinit { Self.erase(path) }

    package var snapshot: Snapshot {
        var found: Snapshot = [:]
        Self.collect(path, "", &found)
        return found
    }

    /// Removes the files whose relative path the test wants gone.
    package func remove(where isGone: (String) -> Bool) {
        for name in snapshot.keys where isGone(name) { unlink("\(path)/\(name)") }
    }

    private static func names(_ path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let record = readdir(directory) {
            let name = withUnsafeBytes(of: &record.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    private static func collect(_ path: String, _ prefix: String, _ found: inout Snapshot) {
        for name in names(path) {
            let here = "\(path)/\(name)"
            let file = open(here, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
            guard file >= 0 else { continue }
            defer { close(file) }
            var info = stat()
            guard fstat(file, &info) == 0 else { continue }
            if info.st_mode & S_IFMT == S_IFDIR {
                collect(here, "\(prefix)\(name)/", &found)
            } else {
                var bytes = [UInt8](repeating: 0, count: Int(info.st_size))
                let count = read(file, &bytes, bytes.count)
                found["\(prefix)\(name)"] = Array(bytes.prefix(max(0, count)))
            }
        }
    }

    private static func erase(_ path: String) {
        if unlink(path) == 0 { return }
        for name in names(path) { erase("\(path)/\(name)") }
        rmdir(path)
    }
}

/// A vault of a test with the state of its first host and the key that reads it.
package struct WorkloadVault: Sendable {
    package let place: WorkloadPlace
    package let store: any Store
    package let kit: Secret

    /// Opened anew by its first host.
    package var vault: Vault { get throws(VaultError) { try reopened() } }

    /// Makes a vault; the recovery kit reads it.
    package init(_ store: any Store, suite: HashSuite = .blake3) throws {
        place = try WorkloadPlace()
        let made = try Vault.create(
            store: store, stateBase: place.path, suite: suite, passphrase: nil, created: "2024-01-01T00:00:00Z",
            scrypt: ScryptParameters(log2N: 4, r: 8, p: 1))
        self.store = store
        kit = made.kit
    }

    /// A copy of a vault's first host, for a copy of its store.
    package init(copying other: WorkloadVault, _ store: any Store) throws {
        place = try WorkloadPlace(other.place.snapshot)
        self.store = store
        kit = other.kit
    }

    /// The same vault opened anew, by this host or, with `place`, by another one.
    package func reopened(_ store: (any Store)? = nil, _ place: WorkloadPlace? = nil) throws(VaultError) -> Vault {
        try Vault(store: store ?? self.store, stateBase: (place ?? self.place).path)
    }

    package func unlock(_ vault: Vault) throws(VaultError) -> UnlockedReader {
        try vault.log.keySet.unlock(secret: kit, vaultID: vault.vaultID)
    }

    package func reader(_ vault: Vault) throws(VaultError) -> VaultReader {
        VaultReader(vault: vault, unlocked: try unlock(vault))
    }

    /// A name for a source.
    package static func source(_ number: UInt64) -> Digest { Digest(words: (number, 1, 2, 3)) }
}

extension SimulatedDisk {
    /// A hash over names and bytes of the files below `path` whose relative path begins with none of `leavingOut`.
    package func fingerprint(of path: String, leavingOut: [String]) -> Int {
        state.withLock { state in
            var hasher = Hasher()
            guard let top = state.resolve(path) else { return 0 }
            func visit(_ inode: Int, _ name: String) {
                guard let node = state.nodes[inode], !leavingOut.contains(where: name.hasPrefix) else { return }
                if node.isDirectory {
                    for (entry, child) in node.entries.sorted(by: { $0.key < $1.key }) {
                        visit(child, "\(name)/\(entry)")
                    }
                } else {
                    hasher.combine(name)
                    node.data.withUnsafeBytes { hasher.combine(bytes: $0) }
                }
            }
            visit(top, "")
            return hasher.finalize()
        }
    }
}
