import Domain
import Glibc
import Vault

/// Room on a file system that is kept for the day on which it is full: it is given back then, so that the end of a run, its
/// problem and a sweep can be written.
///
/// Invariants:
/// 1. The room is allocated, never a hole. Where a file system compresses or copies on write, it is worth less.
/// 2. It is made only where several times as much is free: nothing else fails for its sake.
/// 3. A reserve that was given back stays behind as an empty file. While it is empty and less than twice its size is free, no
///    run begins, because the run would take what the sweep needs.
/// 4. It holds nothing: whoever finds it may remove it, and no reader of a vault looks at it (`docs/format.md`).
struct Reserve: Sendable {
    static let usualBytes = 64 << 20
    /// So many times its size must be free before it is made.
    static let plenty = 3
    /// Where it was given back, so many times its size must be free before a run begins.
    static let enough = 2

    enum Standing: Sendable, Equatable {
        /// Never made, or removed.
        case absent
        case held
        case given
    }

    let path: String
    private let folder: String
    /// 0: there is none.
    let bytes: Int

    init(folder: String, bytes: Int) {
        path = folder + "/reserve"
        self.folder = folder
        self.bytes = bytes
    }

    static func ofState(_ state: String, bytes: Int = Self.usualBytes) -> Reserve {
        Reserve(folder: state + "/daemon", bytes: bytes)
    }

    var standing: Standing {
        var info = stat()
        guard lstat(path, &info) == 0, info.st_mode & S_IFMT == S_IFREG else { return .absent }
        return info.st_size > 0 ? .held : .given
    }

    /// Makes it where there is room; true when there is one now. It may block for as long as 64 MiB take to write.
    @discardableResult
    func keep() -> Bool {
        guard bytes > 0 else {
            if standing != .absent { unlink(path) }
            return false
        }
        if standing == .held { return true }
        guard let room = DiskRoom.of(folder), room.available / Int64(Self.plenty) >= Int64(bytes) else { return false }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        guard posix_fallocate(descriptor, 0, off_t(bytes)) == 0 else {
            ftruncate(descriptor, 0)
            return false
        }
        return true
    }

    /// Gives the room back; false when there was none to give.
    @discardableResult
    func give() -> Bool {
        guard standing == .held else { return false }
        let descriptor = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        // Some file systems need room even to cut; they have it to remove.
        return ftruncate(descriptor, 0) == 0 || unlink(path) == 0
    }

    /// Throws where a run would take what the reserve was given back for.
    func checkRoom() throws {
        guard standing == .given, let room = DiskRoom.of(folder), room.available / Int64(Self.enough) < Int64(bytes)
        else { return }
        throw OperationError(
            .failed,
            "the file system of \(folder) is full: \(Readable.size(Int(clamping: room.available))) are free, and the reserve was "
                + "given back",
            hint: "Free room there, or remove what is no longer kept: `qala dispose --expired`, then `qala sweep`. "
                + "Runs begin again when \(Readable.size(bytes * Self.enough)) are free.", isOutOfSpace: true)
    }
}

/// The reserves that a run or a sweep stands on: that of the state, and one beside the vault where that lies on another file
/// system.
struct Reserves: Sendable {
    let all: [Reserve]

    /// It asks the file system of the vault, which may take its time.
    init(state: String, vault: String, bytes: Int = Reserve.usualBytes) {
        var all = [Reserve.ofState(state, bytes: bytes)]
        var (ofState, ofVault) = (stat(), stat())
        // Where nothing is mounted, nothing is to be filled.
        if access(vault + "/vault.json", F_OK) == 0, stat(state, &ofState) == 0, stat(vault, &ofVault) == 0,
            ofState.st_dev != ofVault.st_dev
        {
            all.append(Reserve(folder: vault, bytes: bytes))
        }
        self.all = all
    }

    /// Gives back all of them; false when there was nothing to give.
    @discardableResult
    func give() -> Bool { all.count { $0.give() } > 0 }

    /// Makes what can be made, and does what may fill the disk. Where it does, the room is given back.
    func guarding<R>(_ body: () throws -> R) throws -> R {
        for reserve in all { try reserve.checkRoom() }
        for reserve in all { reserve.keep() }
        do { return try body() } catch let error as any Failure where error.isOutOfSpace {
            give()
            throw error
        }
    }

    /// Does what makes room; where it has none to begin with, the reserves are given back and it is tried once more.
    func using<R>(_ body: () throws -> R) throws -> R {
        do { return try body() } catch let error as any Failure where error.isOutOfSpace {
            guard give() else { throw error }
            return try body()
        }
    }
}
