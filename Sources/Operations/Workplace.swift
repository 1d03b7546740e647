package import Domain
import Glibc
import Vault

/// Where an operation works and how it talks back: the vault, this host's state beside it, the key to read with, and
/// the counters that a caller may show.
package struct Workplace: Sendable {
    /// Directory of the vault.
    package var vaultPath: String
    /// Directory under which each vault has its host state; never inside the vault.
    package var statePath: String
    /// Gives the passphrase, the key file or the kit code; asked only when something must be read with a key.
    package var unlocking: Unlocking
    /// Whether a person must be asked for that key: then it is used only where nothing can be done without it.
    package var asksForKey: Bool
    package var progress: Progress
    package var interrupt: InterruptFlag
    /// What was looked at, for the audit log.
    package var witness = Witness()

    package init(
        vaultPath: String, statePath: String, unlocking: Unlocking = .none, asksForKey: Bool = false,
        progress: Progress = Progress(), interrupt: InterruptFlag = InterruptFlag()
    ) {
        self.vaultPath = vaultPath
        self.statePath = statePath
        self.unlocking = unlocking
        self.asksForKey = asksForKey
        self.progress = progress
        self.interrupt = interrupt
    }

    /// What a process does before anything else: no core dumps, no debuggers of the same user, a heap that gives back.
    package static func prepareProcess() throws { try ProcessStart.prepare() }

    /// The store would say of a file that there is no such directory.
    func checkVaultIsNoFile() throws {
        var info = stat()
        guard stat(vaultPath, &info) == 0, info.st_mode & S_IFMT != S_IFDIR else { return }
        throw OperationError(
            .noVault, "\(vaultPath) is not a directory", hint: "A vault is a directory; name it with --vault.")
    }
}

/// How an operation comes by the reading key.
package enum Unlocking: Sendable {
    case none
    /// Bytes of a passphrase, without the line end.
    case passphrase(@Sendable () throws -> [UInt8])
    /// Text of a key file or of a recovery kit's code.
    case code(@Sendable () throws -> [UInt8])
}

/// Something went wrong above the vault and the collectors.
package struct OperationError: Failure {
    package var kind: FailureKind
    package var message: String
    package var hint: String
    package var isOutOfSpace: Bool

    package init(_ kind: FailureKind, _ message: String, hint: String = "", isOutOfSpace: Bool = false) {
        self.kind = kind
        self.message = message
        self.hint = hint
        self.isOutOfSpace = isOutOfSpace
    }
}
