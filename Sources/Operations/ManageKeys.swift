import Domain
import Vault

/// Who opens the vault.
package enum ManageKeys {
    package enum NewKey {
        case passphrase([UInt8])
        /// Path of the key file to make.
        case file(String)
        /// Path of the kit to make; nil for the terminal.
        case kit(String?)
    }

    package static func list(at workplace: Workplace) throws -> [KeyRow] {
        try OpenVault(workplace).vault.log.keySet.readers.map(row)
    }

    private static func row(_ reader: KeySet.Reader) -> KeyRow {
        let kind =
            switch reader.kind {
            case .passphrase: "passphrase"
            case .file: "file"
            case .kit: "kit"
            }
        return KeyRow(
            id: reader.id.hex, kind: kind, label: reader.label,
            created: TimeText.seconds(Int64(clamping: reader.created)), administrator: reader.isAdministrator)
    }

    /// Adds a reader; `kitDocument` is given for a kit without a path.
    package static func add(
        _ key: NewKey, label: String, administrator: Bool, at workplace: Workplace
    ) throws -> (row: KeyRow, kitDocument: String?) {
        let open = try OpenVault(workplace)
        let unlocked = try open.unlock()
        let vault = open.vault
        let secret = try Secret.random()
        var file: SecretFile?
        let kind: KeySet.ReaderKind
        var phrase: [UInt8]?
        switch key {
        case .passphrase(let bytes): (kind, phrase) = (.passphrase, bytes)
        case .file(let path): (kind, file) = (.file, try SecretFile(path: path))
        case .kit(let path): (kind, file) = (.kit, try path.map { try SecretFile(path: $0) })
        }
        let reader = try KeySet.makeReader(
            kind: kind, label: label, secret: secret, vaultID: vault.vaultID, administrator: administrator,
            created: WallTime.seconds(), passphrase: phrase, suite: vault.suite)
        // The file is written before the key counts: a key that counts is never lost.
        var document: String?
        switch key {
        case .passphrase: break
        case .file: try file?.write(KeyFile.encode(secret, vaultID: vault.vaultID, label: label))
        case .kit:
            document = try KitText.document(secret, vault, workplace.vaultPath)
            try file?.write(document ?? "")
        }
        try vault.changeKeys(by: unlocked) { keys throws(VaultError) in try keys.adding(reader, with: unlocked) }
        return (row(reader), file == nil ? document : nil)
    }

    package static func remove(_ id: String, at workplace: Workplace) throws {
        let open = try OpenVault(workplace)
        let found = open.vault.log.keySet.readers.filter { $0.id.hex.hasPrefix(id.lowercased()) }
        guard let reader = found.first, id.count >= 4 else {
            throw OperationError(
                .notFound, "there is no key \(id)",
                hint: "Give 4 digits of its id at least; `qala key list` shows them.")
        }
        guard found.count == 1 else {
            throw OperationError(.notFound, "\(found.count) keys begin with \(id)", hint: "Give more digits.")
        }
        let unlocked = try open.unlock()
        guard unlocked.readerID != reader.id else {
            throw OperationError(
                .usage, "a key cannot remove itself", hint: "Open the vault with another administrator's key.")
        }
        try open.vault.changeKeys(by: unlocked) { keys throws(VaultError) in try keys.removing(reader.id) }
        // What is archived from now on is sealed to a key pair that the removed key never saw.
        try open.vault.changeKeys(by: unlocked) { keys throws(VaultError) in
            try keys.rotatingDomains(with: unlocked)
        }
    }

    /// Gives every domain a new key pair for what is archived from now on.
    package static func rotate(at workplace: Workplace) throws {
        let open = try OpenVault(workplace)
        let unlocked = try open.unlock()
        try open.vault.changeKeys(by: unlocked) { keys throws(VaultError) in
            try keys.rotatingDomains(with: unlocked)
        }
    }

    /// Makes another recovery kit; the ones before stay valid until they are removed.
    package static func kit(path: String?, at workplace: Workplace) throws -> String? {
        try add(.kit(path), label: "recovery kit", administrator: true, at: workplace).kitDocument
    }

    /// Opens the vault with the key given, to see that it fits.
    package static func test(at workplace: Workplace) throws -> KeyRow {
        let open = try OpenVault(workplace)
        let unlocked = try open.unlock()
        guard let reader = open.vault.log.keySet.reader(unlocked.readerID) else {
            throw OperationError(.wrongKey, "that key is not a reader of this vault")
        }
        if let archive = open.vault.log.archives.last {
            _ = try VaultReader(vault: open.vault, unlocked: unlocked).header(of: archive)
        }
        return row(reader)
    }
}
