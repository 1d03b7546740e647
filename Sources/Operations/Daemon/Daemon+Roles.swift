package import Domain
import Glibc
import Vault

/// Who may ask what of the daemon.
///
/// Invariants:
/// 1. An account is what the kernel says of the other end of a connection, never what a request says.
/// 2. It is looked up for each request in the policies in force, so that a change holds for connections that are open.
/// 3. What is refused is in the audit log, once a minute for each account and right: nobody fills it by asking.
extension Daemon {
    /// Microseconds, and accounts that are remembered.
    private static let refusalInterval: Int64 = 60_000_000
    private static let mostRefusals = 1000

    /// Throws ``FailureKind/denied`` unless `account` has the right. `question` says what was asked, for the audit log.
    package func admit(_ account: UInt32, to right: Right, asking question: String) throws {
        if account == 0 || account == geteuid() { return }
        let refusal = refusal(of: account, right)
        guard let refusal else { return }
        note(refusal, of: account, right, question)
        throw refusal
    }

    private func refusal(of account: UInt32, _ right: Right) -> OperationError? {
        let name = "\(LocalUser.name(of: account)) (uid \(account))"
        guard let person = policies.person(of: account) else {
            return OperationError(
                .denied, "the daemon does not know the account \(name)",
                hint: "It answers root and the persons whose `uid` stands in the people.yaml that is in force.")
        }
        let day = CivilDay(secondsSince1970: clock.read().wall / 1_000_000)
        let known = "\(person.id ?? person.name), the account \(name),"
        guard let role = policies.role(of: person, on: day) else {
            return OperationError(
                .denied, "\(known) is not in office today", hint: "`from` and `until` in people.yaml say when.")
        }
        switch right {
        case let right where role.has(right): return nil
        case .administer:
            return OperationError(.denied, "only root and the daemon's account may ask this", hint: "Ask as root.")
        case .read, .control:
            return OperationError(
                .denied, "\(known) may look, and not have runs made, ended or paused",
                hint: "Whoever is responsible for a policy in force may, a deputy, and root.")
        }
    }

    private func note(_ refusal: OperationError, of account: UInt32, _ right: Right, _ question: String) {
        let now = clock.read().boot
        let key = "\(account) \(right.rawValue)"
        if let last = refusals[key], now - last < Self.refusalInterval { return }
        if refusals.count >= Self.mostRefusals { refusals.removeAll() }
        refusals[key] = now
        tell(.warning, "refused: \(refusal.message)")
        recordRefused(question, by: account, refusal.message)
    }
}
