/// What went wrong, in one of the few kinds that a caller acts on differently.
///
/// Every module has an error type of its own that conforms to ``Failure``; `API` holds the one table that turns a kind
/// into an exit code.
package enum FailureKind: String, Sendable, CaseIterable, Codable {
    /// The operation did not happen; nothing more specific is known.
    case failed
    /// There is no vault where one was expected.
    case noVault
    /// Another daemon or command holds what this one needs exclusively.
    case inUse
    /// The key, passphrase or kit given does not open this vault.
    case wrongKey
    /// Stored bytes are not what was stored.
    case damaged
    /// What was asked for does not exist.
    case notFound
    /// The request itself is malformed.
    case usage
    /// The daemon is needed and does not answer.
    case daemonDown
    /// A passing condition: the same request may succeed later.
    case tryAgain
    /// The caller lacks the right or the key to do this.
    case denied
    /// A policy document does not hold together.
    case badPolicy
    /// The operator interrupted the operation; it can be resumed.
    case interrupted
}

/// An error that a person can act on: what happened (`message`, lower case, no full stop) and what to do (`hint`, a
/// sentence; empty only where nothing can be done).
package protocol Failure: Error, Sendable, CustomStringConvertible {
    var kind: FailureKind { get }
    var message: String { get }
    var hint: String { get }
    /// Whether the same call may succeed when repeated unchanged.
    var isRetryable: Bool { get }
    /// Whether a file system or a quota had no room left.
    var isOutOfSpace: Bool { get }
}

extension Failure {
    package var isRetryable: Bool { kind == .tryAgain }
    package var isOutOfSpace: Bool { false }
    package var description: String { hint.isEmpty ? message : "\(message). \(hint)" }
}
