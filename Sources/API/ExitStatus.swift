package import Domain

// The one table that turns what happened into the numbers that programs see.
//
// 1. A status means one thing, for ever: scripts and the daemon's callers decide by it.
// 2. Zero means that everything asked for was done. A partial run is not zero.
// 3. `docs/commands.md` shows this table; a test holds them together.

/// The exit statuses of `qala`.
package enum ExitStatus: Int32, Sendable, CaseIterable {
    case done = 0
    case failed = 1
    case partial = 3
    case noVault = 10
    case inUse = 11
    case wrongKey = 12
    case damaged = 13
    case notFound = 14
    case usage = 64
    case daemonDown = 69
    case tryAgain = 75
    case denied = 77
    case badPolicy = 78
    case interrupted = 130

    package init(_ kind: FailureKind) {
        self =
            switch kind {
            case .failed: .failed
            case .noVault: .noVault
            case .inUse: .inUse
            case .wrongKey: .wrongKey
            case .damaged: .damaged
            case .notFound: .notFound
            case .usage: .usage
            case .daemonDown: .daemonDown
            case .tryAgain: .tryAgain
            case .denied: .denied
            case .badPolicy: .badPolicy
            case .interrupted: .interrupted
            }
    }

    /// The name that stands in JSON errors and in the manual; stable like the number.
    package var name: String {
        switch self {
        case .done: "done"
        case .failed: "failed"
        case .partial: "partial"
        case .noVault: "no vault"
        case .inUse: "in use"
        case .wrongKey: "wrong key"
        case .damaged: "damage found"
        case .notFound: "not found"
        case .usage: "usage"
        case .daemonDown: "daemon down"
        case .tryAgain: "try again"
        case .denied: "denied"
        case .badPolicy: "bad policy"
        case .interrupted: "interrupted"
        }
    }

    /// One sentence on what the status tells the caller.
    package var meaning: String {
        switch self {
        case .done: "Everything that was asked for was done."
        case .failed: "The operation did not happen; the message says why."
        case .partial: "Done, except for the paths that the report names."
        case .noVault: "There is no vault at the place that was given."
        case .inUse: "Another daemon or command holds what this one needs."
        case .wrongKey: "No key of the vault opens with what was given."
        case .damaged: "Stored bytes are not what was stored."
        case .notFound: "The archive, path, key or file does not exist."
        case .usage: "The command line is malformed, or no passphrase could be asked for."
        case .daemonDown: "The daemon is needed and does not answer."
        case .tryAgain: "A passing condition; the same command may succeed later."
        case .denied: "The right or the key to do this is missing."
        case .badPolicy: "The policy document has errors; each is listed with line and column."
        case .interrupted: "Interrupted; the same command resumes where it stopped."
        }
    }

    /// The status of a response over HTTP that reports the same outcome.
    package var http: Int {
        switch self {
        case .done, .partial: 200
        case .failed, .damaged: 500
        case .noVault, .daemonDown, .tryAgain, .interrupted: 503
        case .inUse: 409
        case .wrongKey, .denied: 403
        case .notFound: 404
        case .usage: 400
        case .badPolicy: 422
        }
    }
}
