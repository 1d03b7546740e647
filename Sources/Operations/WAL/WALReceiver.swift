import Domain
import Glibc
import Synchronization
import Vault

/// Streams WAL through a replication slot into the spool: `pg_receivewal`, started again whenever it ends.
///
/// Invariants:
/// 1. The unfinished segment stays in `receive/`, synced as it grows; what is finished goes the way of every pushed file, so a
///    segment that comes both ways is compared.
/// 2. A file leaves `receive/` only after the spool has it. The slot keeps in the server what is not here yet.
/// 3. Why nothing comes is told until something does.
final class WALReceiver: Sendable {
    private static let longestPause = 60.0
    private static let slotLook = 60.0
    private static let sweepPause = 0.5
    private static let foreverSeconds = 365.0 * 86_400

    private let source: WALSource
    private let spool: WALSpool
    private let stopping = InterruptFlag()
    private let troubles = Mutex(Troubles())
    private let threads = Mutex<[Joined]>([])

    private struct Troubles {
        var streaming: String?
        var taking: String?
        var slot: String?
    }

    /// SAFETY: a thread is joined once, by ``stop()``, under the lock.
    private struct Joined: @unchecked Sendable {
        let thread: WorkerThread
    }

    init(_ source: WALSource, into spool: WALSpool) throws {
        self.source = source
        self.spool = spool
        try StateFile.makeDirectory(folder)
        let bodies: [@Sendable () -> Void] = [{ self.stream() }, { self.sweep() }]
        for body in bodies {
            let thread = Joined(thread: try WorkerThread(body))
            threads.withLock { $0.append(thread) }
        }
    }

    func stop() {
        stopping.set()
        threads.withLock { all in
            for joined in all { joined.thread.join() }
            all = []
        }
    }

    /// What is wrong now; nil when nothing is.
    var trouble: String? {
        troubles.withLock { [$0.streaming, $0.slot, $0.taking].compactMap(\.self).first }
    }

    private var folder: String { "\(spool.path)/receive" }

    // MARK: Streaming

    private func stream() {
        var pause = 1.0
        while !stopping.isSet {
            let begun = MonotonicTime.now()
            do {
                let common = [
                    try ServerProgram.path("pg_receivewal"), "-D", folder, "-S", source.slot ?? "", "-h", source.socket,
                    "-U", source.user,
                    "--no-password",
                ]
                _ = try ServerProgram.output(
                    of: common + ["--create-slot", "--if-not-exists"], seconds: 60, stopping)
                _ = try ServerProgram.output(
                    of: common + ["--synchronous", "--no-loop", "--status-interval=5"], seconds: Self.foreverSeconds,
                    stopping)
                throw OperationError(.tryAgain, "pg_receivewal ended")
            } catch {
                if stopping.isSet { return }
                let words = (error as? any Failure)?.message ?? "\(error)"
                troubles.withLock { $0.streaming = "nothing streams from slot \(source.slot ?? ""): \(words)" }
            }
            // One that went for a while is tried again at once.
            pause = MonotonicTime.now() - begun > Self.longestPause ? 1 : min(Self.longestPause, pause * 2)
            stopping.sleep(pause)
        }
    }

    // MARK: Into the spool

    private func sweep() {
        var looked = -Self.slotLook
        while !stopping.isSet {
            do {
                if try takeFinished() { troubles.withLock { $0.streaming = nil } }
                troubles.withLock { $0.taking = nil }
            } catch {
                let words = (error as? WALRefusal)?.message ?? (error as? any Failure)?.message ?? "\(error)"
                troubles.withLock { $0.taking = "what was streamed is not taken: \(words)" }
            }
            if MonotonicTime.now() - looked >= Self.slotLook {
                looked = MonotonicTime.now()
                lookAtSlot()
            }
            stopping.sleep(Self.sweepPause)
        }
    }

    /// Whether anything came.
    private func takeFinished() throws -> Bool {
        var came = false
        for text in try StateFile.list(folder) {
            guard let name = WALFileName(text), name.form != .partial else {
                if text.hasSuffix(".partial"), isFresh(text) { came = true }
                continue
            }
            let path = "\(folder)/\(text)"
            let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
            guard file >= 0 else { throw LogSpool.failure("opening", path) }
            defer { close(file) }
            _ = try spool.accept(file, name, systemID: 0, incarnation: source.incarnation)
            unlink(path)
            came = true
        }
        return came
    }

    /// Written in the last minute.
    private func isFresh(_ name: String) -> Bool {
        var info = stat()
        return stat("\(folder)/\(name)", &info) == 0
            && Int64(clamping: WallTime.seconds()) - Int64(info.st_mtim.tv_sec) < 60
    }

    /// A slot that the server gave up, or is about to, is told before the stream stops.
    private func lookAtSlot() {
        guard let program = try? ServerProgram.path("psql"), let slot = source.slot, WALSource.isSlotName(slot) else {
            return
        }
        let query =
            "SELECT wal_status, coalesce(safe_wal_size::text, '') FROM pg_replication_slots "
            + "WHERE slot_name = '\(slot)'"
        let command = [
            program, "-XAtw", "-F", " ", "-h", source.socket, "-U", source.user, "-d", "postgres", "-c", query,
        ]
        // That the server does not answer is the stream's to tell.
        guard let answer = try? ServerProgram.output(of: command, seconds: 30, stopping) else { return }
        let words = answer.split { $0 == " " || $0.isNewline }
        let found = words.first.flatMap { Self.slotTrouble(String($0), slot) }
        troubles.withLock { $0.slot = found }
    }

    static func slotTrouble(_ status: String, _ slot: String) -> String? {
        switch status {
        case "lost":
            "the server gave up the slot \(slot): WAL is missing; drop it, and make a new base archive"
        case "unreserved":
            "the slot \(slot) is behind max_slot_wal_keep_size and will be given up with the next checkpoint"
        default: nil
        }
    }
}
