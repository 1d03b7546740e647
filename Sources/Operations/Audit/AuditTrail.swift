import Domain
import Glibc
import Synchronization
import Vault

/// One named detail of an act. Names are lower-case words joined by dots or dashes.
package struct ActDetail: Sendable, Equatable {
    package var name: String
    package var value: String

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// How an act ended, or that it began; the words of the audit log.
package enum ActOutcome: String, Sendable, CaseIterable {
    case begun, done, partial, failed, denied, interrupted
}

/// What is to be recorded of an act, but for who did it and when. It holds no secret.
package struct RecordedAct: Sendable {
    private static let maximumDetails = 16

    package var operation: String
    package var subject: String
    package var outcome: ActOutcome
    /// None twice; of too many the first ones.
    package private(set) var details: [ActDetail]

    package init(_ operation: String, subject: String, outcome: ActOutcome, details: [ActDetail] = []) {
        self.operation = operation
        self.subject = subject
        self.outcome = outcome
        var kept: [ActDetail] = []
        for detail in details where kept.count < Self.maximumDetails {
            if !kept.contains(where: { $0.name == detail.name }) { kept.append(detail) }
        }
        self.details = kept
    }

    func entry(of actor: AuditActor, more: [ActDetail] = []) -> AuditAct {
        let all = RecordedAct(operation, subject: subject, outcome: outcome, details: more + details).details
        return AuditAct(
            actor, operation, subject: subject, outcome: AuditOutcome(rawValue: outcome.rawValue) ?? .failed,
            details: all.map { AuditDetail($0.name, $0.value) })
    }
}

/// What a process that works without the daemon leaves for the audit log: its acts, in a spool file of its own.
///
/// Invariants:
/// 1. When ``record(_:)`` returns, the act is on the disk. When it throws, it may or may not be.
/// 2. Nothing is made before the first act, and no key is needed.
/// 3. Who acts is what the kernel says of this process: its real user, and the one who logged in where that is another.
package final class AuditTrail: Sendable {
    /// More spool files than this are taken over by the command that finds them.
    private static let longestSpool = 300

    private let place: AuditPlace
    private let state: String
    private let spool: Mutex<AuditSpool>
    private let actor: AuditActor
    private let login: [ActDetail]

    package init(state: String) {
        place = AuditPlace(state: state)
        self.state = state
        spool = Mutex(AuditSpool(directory: place.spoolPath))
        let user = getuid()
        actor = .user(id: user, name: LocalUser.name(of: user))
        login = LocalUser.login.map { $0 == user ? [] : [ActDetail("login", "\($0)/\(LocalUser.name(of: $0))")] } ?? []
    }

    /// On a full disk an act that `mayUseReserve`, such as a sweep, has the room of the reserve.
    package func record(_ act: RecordedAct, mayUseReserve: Bool = false) throws {
        let entry = act.entry(of: actor, more: login)
        do throws(VaultError) {
            do throws(VaultError) { try spool.withLock { $0 }.append(entry) } catch {
                guard error.isOutOfSpace, mayUseReserve, Reserve.ofState(state).give() else { throw error }
                // One that failed takes nothing more.
                let next = AuditSpool(directory: place.spoolPath)
                spool.withLock { $0 = next }
                try next.append(entry)
            }
        } catch {
            throw OperationError(
                error.kind, "the audit log cannot take this act: \(error.message)",
                hint: "Check the disk and the rights of the state directory (--state or QALA_STATE).")
        }
    }

    /// Where very many acts wait and nobody takes them over, this process does.
    package func settle() throws {
        guard place.waiting().count > Self.longestSpool else { return }
        do {
            try place.open().importSpool(place.spoolPath)
        } catch let error as OperationError where error.kind == .inUse {
            // Whoever has the log open takes them over.
        }
    }
}

/// What an operation looked at that its caller did not name exactly, such as the archive that `latest` was.
package final class Witness: Sendable {
    private static let most = 16
    private let archives = Mutex<[String]>([])
    private let vaults = Mutex<[String: String]>([:])

    package init() {}

    func saw(archive id: String) {
        archives.withLock { list in
            if list.count < Self.most, !list.contains(id) { list.append(id) }
        }
    }

    func saw(vault id: String, at path: String) { vaults.withLock { $0[path] = id } }

    /// The id of the vault that was opened there.
    package func vault(at path: String) -> String? { vaults.withLock { $0[path] } }

    /// Ids of archives, in the order in which they were found.
    package var seen: [String] { archives.withLock { $0 } }
}

/// The accounts of this machine.
enum LocalUser {
    /// The name of an account, or its number where it has none.
    static func name(of id: uid_t) -> String {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var space = [CChar](repeating: 0, count: 16 << 10)
        return space.withUnsafeMutableBufferPointer { space in
            guard let base = space.baseAddress, getpwuid_r(id, &entry, base, space.count, &found) == 0, found != nil,
                let name = entry.pw_name
            else { return "\(id)" }
            return String(cString: name)
        }
    }

    /// The account that logged in, whatever it became since; nil where the kernel does not know.
    static var login: uid_t? {
        let file = Glibc.open("/proc/self/loginuid", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 16)
        let count = Glibc.read(file, &bytes, bytes.count)
        guard count > 0 else { return nil }
        let digits = bytes[..<count].filter { (0x30...0x39).contains($0) }
        guard let id = uid_t(String(decoding: digits, as: UTF8.self)), id != uid_t.max else { return nil }
        return id
    }
}
