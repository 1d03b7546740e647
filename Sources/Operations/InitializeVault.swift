import Domain
import Vault

/// Makes a vault with its first keys and its recovery kit.
package enum InitializeVault {
    package struct Request {
        /// No key that reads stays on this host; it leaves through the kit only.
        package var writeOnlyHost: Bool
        package var kitPath: String?
        package var passphrase: (() throws -> [UInt8])?
        package var suite: String?
        /// Without a path: takes the kit's text before the vault counts, so that no vault can outlive its only key.
        package var keepKit: ((String) throws -> Void)?

        package init(
            writeOnlyHost: Bool, kitPath: String?, passphrase: (() throws -> [UInt8])?, suite: String?,
            keepKit: ((String) throws -> Void)? = nil
        ) {
            self.writeOnlyHost = writeOnlyHost
            self.kitPath = kitPath
            self.passphrase = passphrase
            self.suite = suite
            self.keepKit = keepKit
        }
    }

    /// `kitDocument` is given when nobody took it: for the terminal, and nowhere else.
    package static func run(
        _ request: Request, at workplace: Workplace
    ) throws -> (report: InitReport, kitDocument: String?) {
        guard let suite = HashSuite(name: request.suite ?? HashSuite.blake3.name) else {
            throw OperationError(
                .usage, "there is no hash suite \(request.suite ?? "")", hint: "Use blake3 or hmac-sha256.")
        }
        guard request.writeOnlyHost || request.passphrase != nil else {
            throw OperationError(
                .usage, "a passphrase is needed", hint: "Give --passphrase-file, or use --write-only-host.")
        }
        // What stands in the way is told before anything is made and before anybody is asked for a passphrase.
        try workplace.checkVaultIsNoFile()
        if let there = try? LocalStore(path: workplace.vaultPath) { try NewVault.checkRoom(in: there) }
        let kit = try request.kitPath.map { try SecretFile(path: $0) }
        var phrase = request.writeOnlyHost ? [] : try request.passphrase?() ?? []
        defer { Wipe.array(&phrase) }
        let store = try LocalStore.creating(path: workplace.vaultPath)
        let created = TimeText.seconds(Int64(WallTime.seconds()))
        let new = try NewVault(
            store: store, stateBase: workplace.statePath, suite: suite,
            passphrase: request.writeOnlyHost ? nil : phrase, created: created)
        let document = try KitText.document(new.kit, new.vaultID, new.head, workplace.vaultPath)
        // The kit is out before there is a vault that needs it.
        if let kit { try kit.write(document) } else { try request.keepKit?(document) }
        let vault = try new.finish()
        let report = InitReport(
            vault: workplace.vaultPath, vaultID: vault.vaultID.hex, suite: suite.name,
            writeOnlyHost: request.writeOnlyHost, kitPath: request.kitPath)
        return (report, request.kitPath == nil && request.keepKit == nil ? document : nil)
    }
}

enum KitText {
    static func document(_ secret: Secret, _ vault: Vault, _ location: String) throws -> String {
        try document(secret, vault.vaultID, (vault.log.count - 1, vault.log.head), location)
    }

    static func document(
        _ secret: Secret, _ vaultID: Digest, _ head: (number: UInt64, digest: Digest), _ location: String
    ) throws -> String {
        let created = TimeText.seconds(Int64(WallTime.seconds()))
        return try RecoveryKit(
            secret: secret, vaultID: vaultID, logNumber: head.number, logDigest: head.digest,
            created: String(created.prefix(10)), vaultLocation: location
        ).document()
    }
}

/// Makes this host a writer of an existing vault.
package enum EnrolHost {
    package static func run(label: String, at workplace: Workplace) throws -> InitReport {
        let open = try OpenVault(workplace)
        try open.vault.enrol(label: label, by: try open.unlock())
        return InitReport(
            vault: workplace.vaultPath, vaultID: open.vault.vaultID.hex, suite: open.vault.suite.name,
            writeOnlyHost: true, kitPath: nil)
    }
}
