import Domain
import FoundationEssentials
import Glibc
import Vault

/// Makes an empty volume and enters it in the register.
package enum CreateVolume {
    package struct Request {
        package var directory: String
        package var title: String?
        package var shelf: String
        package var capacity: Int?
        /// Such as `1 year`.
        package var reverify: String
        package var secretPath: String

        package init(
            directory: String, title: String?, shelf: String, capacity: Int?, reverify: String, secretPath: String
        ) {
            self.directory = directory
            self.title = title
            self.shelf = shelf
            self.capacity = capacity
            self.reverify = reverify
            self.secretPath = secretPath
        }
    }

    package static func run(_ request: Request, at workplace: Workplace) throws -> VolumeCreated {
        let period = try Period(parsing: request.reverify)
        guard !period.isZero else {
            throw OperationError(
                .usage, "a volume is verified again after some time", hint: "Give --reverify, such as \"1 year\".")
        }
        let shelf = try VolumeWords.checked(request.shelf, "shelf")
        let title = try VolumeWords.checked(request.title ?? "Qala", "title")
        let open = try OpenVault(workplace)
        let tree = VolumeTree(directory: request.directory)
        let register = VolumeRegister(workplace)
        try VolumeSecrets.checkApart(request.secretPath, from: request.directory)
        try StateFile.makeDirectory(register.directory)
        // What cannot be written is known before anything is.
        let file = try SecretFile(path: request.secretPath)
        try prepare(tree)
        var secret = Array(Hex.text(Random.bytes(32)).utf8)
        defer { Wipe.array(&secret) }
        let id = Hex.text(Random.bytes(8))
        let key = try register.makeKey(id)
        let fingerprint = VolumeTree.fingerprint(key.publicKey)
        let identity = VolumeIdentity(
            format: VolumeIdentity.currentFormat, id: id, title: title, created: VolumeRegister.now(),
            publicKey: key.publicKey.hex, secretCheck: VolumeTree.secretCheck(secret, id))
        // The secret is out before there is a volume that needs it.
        try file.write(VolumeTree.secretText(secret, identity))
        let list = VolumeTree.list(try write(identity, fingerprint, secret, open.vault, to: tree))
        let record = VolumeRecord(
            id: id, title: title, created: identity.created, publicKey: key.publicKey.hex, fingerprint: fingerprint,
            capacity: request.capacity, reverify: period.iso, verifyBy: try VolumeRegister.due(after: period.iso),
            shelf: shelf)
        try register.save(record, list: list)
        try tree.publish(list, by: key)
        try tree.removeMark()
        let lock = try register.lock(id)
        try withExtendedLifetime(lock) { try register.append("created", shelf, to: id) }
        return VolumeCreated(volume: record, directory: request.directory, secretPath: request.secretPath)
    }

    /// The directory with its two folders; what a new file system brings along may be there, and nothing else.
    private static func prepare(_ tree: VolumeTree) throws {
        if mkdir(tree.directory, 0o755) == 0 {
            try MediumFile.syncDirectory(tree.path(".."))
        } else {
            let reason = errno
            guard reason == EEXIST else { throw MediumFile.failure("make", tree.directory, reason) }
        }
        guard try StateFile.list(tree.directory).allSatisfy({ $0 == "lost+found" }) else {
            throw OperationError(
                .failed, "\(tree.directory) is not empty", hint: "A volume is made on an empty medium or directory.")
        }
        for folder in [VolumeTree.streamFolder, VolumeTree.sliceFolder] {
            guard mkdir(tree.path(folder), 0o755) == 0 else { throw MediumFile.failure("make", folder, errno) }
        }
    }

    /// Everything but the list; returns what the list names.
    private static func write(
        _ identity: VolumeIdentity, _ fingerprint: String, _ secret: [UInt8], _ vault: Vault, to tree: VolumeTree
    ) throws -> [String: Digest] {
        var files: [String: Digest] = [:]
        func put(_ name: String, _ bytes: [UInt8]) throws {
            files[name] = try MediumFile.write(tree.path(name), bytes)
        }
        _ = try MediumFile.write(tree.path(VolumeTree.unfinishedName), Array(VolumeTexts.unfinished.utf8))
        try MediumFile.syncDirectory(tree.directory)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try put(VolumeTree.identityName, [UInt8](try encoder.encode(identity)) + [0x0A])
        guard let key = Digest(hex: identity.publicKey) else { throw OperationError(.failed, "the key is malformed") }
        try put(VolumeTree.keyName, Array(VolumeTree.pem(key).utf8))
        for (name, language) in [("README.az.txt", Language.azerbaijani), ("README.en.txt", .english)] {
            try put(name, Array(VolumeTexts.readMe(identity, fingerprint: fingerprint, language).utf8))
        }
        try put("LABEL.txt", Array(try VolumeTexts.label(identity, fingerprint: fingerprint, more: []).utf8))
        let sealed = try VolumeSecrets.sealed(secret, identity.id, vault)
        try put(VolumeTree.sealedSecretName, [UInt8](try encoder.encode(sealed)) + [0x0A])
        // The list of the decoy is that of other bytes: whoever verifies it must find it bad.
        var decoy = Random.bytes(4096)
        let before = ListDigest.of(decoy)
        decoy[decoy.count / 2] ^= 1
        try put(VolumeTree.decoyName, decoy)
        try put(VolumeTree.decoyListName, VolumeTree.list([VolumeTree.decoyName: before]))
        return files
    }
}

/// Words that people give a volume: one line, and not too long for a label.
enum VolumeWords {
    static func checked(_ text: String, _ what: String) throws -> String {
        let isPlain = text.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }
        guard isPlain, text.utf8.count <= 200, text.contains(where: { !$0.isWhitespace }) else {
            throw OperationError(
                .usage, "the \(what) is empty, too long or has control characters",
                hint: "Write one line of at most 200 bytes.")
        }
        return text
    }
}

/// The way from a key of the vault to the secret of a volume.
package enum VolumeSecrets {
    /// A secret beside what it opens protects nothing.
    static func checkApart(_ path: String, from directory: String) throws {
        guard isOn(directory, path) else { return }
        throw OperationError(
            .usage, "\(path) lies on the volume", hint: "Name a place on another medium, which is kept elsewhere.")
    }

    /// Whether `path`, or where it would be made, lies in the directory of a volume.
    private static func isOn(_ directory: String, _ path: String) -> Bool {
        var place = path
        while resolved(place) == nil {
            guard let slash = place.lastIndex(of: "/") else {
                place = "."
                break
            }
            place = slash == place.startIndex ? "/" : String(place[..<slash])
        }
        guard let found = resolved(place), let volume = resolved(directory) else { return false }
        return PathOrder.isInside(found, volume)
    }

    /// Without the first slash; nil where there is nothing.
    private static func resolved(_ path: String) -> [UInt8]? {
        guard let found = realpath(path, nil) else { return nil }
        defer { free(found) }
        return Array(String(cString: found).utf8.dropFirst())
    }

    static func sealed(_ secret: [UInt8], _ id: String, _ vault: Vault) throws -> SealedSecret {
        let binding = SealedSecret.binding(vault.vaultID, id)
        let boxes = try vault.log.keySet.readers.map { reader in
            SealedSecret.Box(
                reader: reader.id.hex, sealed: Data(try HPKEBox.seal(secret, to: reader.publicKey, info: binding)))
        }
        return SealedSecret(vault: vault.vaultID.hex, volume: id, boxes: boxes)
    }

    /// Writes the secret file of the volume at `directory` again, opened with the key of `workplace`.
    package static func recover(_ directory: String, to path: String, at workplace: Workplace) throws -> String {
        let tree = VolumeTree(directory: directory)
        let identity = try tree.identity()
        try checkApart(path, from: directory)
        let file = try SecretFile(path: path)
        guard let bytes = MediumRead.whole(tree.path(VolumeTree.sealedSecretName), limit: VolumeTree.smallLimit),
            let sealed = try? JSONDecoder().decode(SealedSecret.self, from: Data(bytes)), sealed.volume == identity.id,
            sealed.boxes.count <= KeySet.maximumReaders
        else {
            throw OperationError(
                .damaged, "\(VolumeTree.sealedSecretName) of the volume is missing or malformed",
                hint: "Use another copy of the volume, or its secret file.")
        }
        let open = try OpenVault(workplace)
        guard sealed.vault == open.vault.vaultID.hex else {
            throw OperationError(
                .wrongKey, "the secret is sealed to vault \(sealed.vault.prefix(12))",
                hint: "Name that vault with --vault.")
        }
        let unlocked = try open.unlock()
        let binding = SealedSecret.binding(open.vault.vaultID, identity.id)
        guard let box = sealed.boxes.first(where: { $0.reader == unlocked.readerID.hex }),
            var secret = try HPKEBox.open([UInt8](box.sealed), seed: unlocked.readingSeed, info: binding)
        else {
            throw OperationError(
                .wrongKey, "the secret of the volume is not sealed to this key",
                hint: "Use a key that the vault had when the volume was made.")
        }
        defer { Wipe.array(&secret) }
        guard VolumeTree.secretCheck(secret, identity.id) == identity.secretCheck else {
            throw OperationError(.damaged, "the sealed secret is not that of the volume", hint: "Verify the volume.")
        }
        try file.write(VolumeTree.secretText(secret, identity))
        return identity.id
    }
}
