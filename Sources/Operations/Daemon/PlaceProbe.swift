import Glibc
import Synchronization
import Vault

/// What the file system of a folder says.
package struct Place: Sendable, Equatable {
    package var device: UInt64
    package var room: DiskRoom
    /// Whether a vault lies there that this process may read.
    package var hasVault: Bool

    package init(device: UInt64, room: DiskRoom, hasVault: Bool) {
        self.device = device
        self.room = room
        self.hasVault = hasVault
    }

    /// Nil where the folder is not there. It blocks for as long as the file system pleases.
    package static func of(_ path: String) -> Place? {
        var status = stat()
        guard stat(path, &status) == 0, let room = DiskRoom.of(path) else { return nil }
        return Place(
            device: UInt64(status.st_dev), room: room, hasVault: access(path + "/vault.json", R_OK) == 0)
    }
}

/// Asks file systems that may never answer, such as a network mount whose server is gone.
///
/// Invariants:
/// 1. Nobody waits longer than `patience`, and for a folder that hangs only once: until its file system has answered, the
///    next questions get no answer at once.
/// 2. A folder has one thread at most, however often it is asked for.
/// 3. An answer that came too late is not given to a later question.
package final class PlaceProbe: Sendable {
    package enum Answer: Sendable, Equatable {
        /// The file system did not answer, or somebody else is asking it.
        case unknown
        /// Nil where the folder is not there.
        case known(Place?)

        package var place: Place? {
            if case .known(let place) = self { place } else { nil }
        }
    }

    /// SAFETY: `answer` is touched only inside `monitor.locked`.
    private final class Question: @unchecked Sendable {
        let monitor = Monitor()
        var answer = Answer.unknown
    }

    private let patience: Double
    private let look: @Sendable (String) -> Place?
    /// Folders that a thread is asking for.
    private let asked = Mutex<Set<String>>([])

    /// `patience` in seconds.
    package init(patience: Double = 2, look: @escaping @Sendable (String) -> Place? = { Place.of($0) }) {
        self.patience = patience
        self.look = look
    }

    package func ask(_ path: String) -> Answer {
        guard asked.withLock({ $0.insert(path).inserted }) else { return .unknown }
        let question = Question()
        do {
            try WorkerThread { [self] in
                let place = look(path)
                _ = asked.withLock { $0.remove(path) }
                question.monitor.locked {
                    question.answer = .known(place)
                    question.monitor.wakeAll()
                }
            }.detach()
        } catch {
            _ = asked.withLock { $0.remove(path) }
            return .unknown
        }
        let end = MonotonicTime.now() + patience
        return question.monitor.locked {
            while question.answer == .unknown, MonotonicTime.now() < end { question.monitor.wait(until: end) }
            return question.answer
        }
    }
}
