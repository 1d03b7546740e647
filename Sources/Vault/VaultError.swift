package import Domain

/// Why the vault could not do what it was asked.
package struct VaultError: Failure {
    package enum Code: String, Sendable {
        case noVault, alreadyExists, unsupportedFormat
        case wrongKey, keyNeeded, notAllowed
        case damaged, rolledBack, missingObject
        case notFound, ambiguous
        case conflict, fenced, interrupted
        case io, noSpace, limit, invalidInput
    }

    package var code: Code
    package var message: String
    package var hint: String
    /// The cause below, in words; for the log, not for decisions.
    package var underlying: String?

    package init(_ code: Code, _ message: String, hint: String = "", underlying: String? = nil) {
        self.code = code
        self.message = message
        self.hint = hint
        self.underlying = underlying
    }

    package var kind: FailureKind {
        switch code {
        case .noVault: .noVault
        case .wrongKey, .keyNeeded: .wrongKey
        case .damaged, .rolledBack, .missingObject: .damaged
        case .notFound, .ambiguous: .notFound
        case .notAllowed: .denied
        case .conflict, .fenced: .tryAgain
        case .interrupted: .interrupted
        case .invalidInput: .usage
        case .alreadyExists, .unsupportedFormat, .io, .noSpace, .limit: .failed
        }
    }

    package var isOutOfSpace: Bool { code == .noSpace }

    /// An object is not there, or not as it was stored.
    var isLoss: Bool { code == .missingObject || code == .damaged || code == .limit }

    package static func damaged(_ message: String, hint: String? = nil) -> VaultError {
        VaultError(
            .damaged, message,
            hint: hint ?? "Run `qala verify` to see the extent; restore the object from the mirror or another copy.")
    }
}
