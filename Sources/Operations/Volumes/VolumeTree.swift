import Domain
import FoundationEssentials
import Glibc
import Vault

// A volume on its medium.
//
// Invariants:
// 1. What a signed list names was complete and synced under its name before the list was written.
// 2. Nothing that a signed list names is ever changed or removed.
// 3. Nothing is believed before the list's signature was checked with a key that did not come from the medium, or the
//    caller was told that it did.
// 4. No plaintext of a file, and no secret, is written to the medium or to any other file.

/// What `volume.json` says.
struct VolumeIdentity: Codable {
    static let currentFormat = 1

    var format: Int
    var id: String
    var title: String
    var created: String
    var publicKey: String
    /// First 32 digits of SHA-256 over the id and the secret: tells a wrong secret from damage, and nothing else.
    var secretCheck: String
}

/// The secret of a volume, sealed to the readers of the vault.
struct SealedSecret: Codable {
    struct Box: Codable {
        /// Id of the reader.
        var reader: String
        var sealed: Data
    }

    var vault: String
    var volume: String
    var boxes: [Box]

    static func binding(_ vault: Digest, _ volume: String) -> [UInt8] {
        Array("qala/v1/volume secret".utf8) + vault.bytes + Array(volume.utf8)
    }
}

/// The tree at one place, and the names in it.
struct VolumeTree {
    static let identityName = "volume.json"
    static let keyName = "volume.pub"
    static let sealedSecretName = "secret.sealed.json"
    static let decoyName = "decoy.bin"
    static let decoyListName = "DECOY.SHA256SUMS"
    static let listName = "SHA256SUMS"
    static let signatureName = "SHA256SUMS.sig"
    static let unfinishedName = "UNFINISHED.txt"
    static let streamFolder = "archives"
    static let sliceFolder = "catalog"
    static let smallLimit = 1 << 20
    static let listLimit = 64 << 20

    let directory: String

    func path(_ name: String) -> String { "\(directory)/\(name)" }

    static func streamName(_ archive: String) -> String { "\(streamFolder)/\(archive).tar.zst.enc" }
    static func digestsName(_ archive: String) -> String { "\(streamFolder)/\(archive).sha256.zst.enc" }
    static func sliceName(_ archive: String) -> String { "\(sliceFolder)/\(archive).jsonl" }

    /// `name` and the number of a part, six digits at least.
    static func partName(_ name: String, _ number: Int) -> String {
        let digits = String(number)
        return "\(name)." + String(repeating: "0", count: max(0, 6 - digits.count)) + digits
    }

    /// The archive whose stream `name` is a part of.
    static func archive(ofPart name: String) -> String? {
        let end = ".tar.zst.enc."
        guard name.hasPrefix(streamFolder + "/") else { return nil }
        let rest = name.dropFirst(streamFolder.count + 1)
        let id = String(rest.prefix(64))
        guard Digest(hex: id) != nil, rest.dropFirst(64).hasPrefix(end) else { return nil }
        let number = rest.dropFirst(64 + end.count)
        return number.utf8.count >= 6 && number.utf8.allSatisfy { (0x30...0x39).contains($0) } ? id : nil
    }

    func identity() throws -> VolumeIdentity {
        guard let bytes = MediumRead.whole(path(Self.identityName), limit: Self.smallLimit) else {
            throw OperationError(
                .notFound, "\(directory) holds no volume", hint: "Name the directory where the volume is mounted.")
        }
        guard let identity = try? JSONDecoder().decode(VolumeIdentity.self, from: Data(bytes)),
            VolumeRegister.isID(identity.id), Digest(hex: identity.publicKey) != nil
        else {
            throw OperationError(
                .damaged, "\(path(Self.identityName)) is malformed", hint: "Use another copy of the volume.")
        }
        guard identity.format == VolumeIdentity.currentFormat else {
            throw OperationError(
                .failed, "the volume has format \(identity.format)", hint: "Open it by its README, or update qala.")
        }
        return identity
    }

    /// What is written must not leave the medium through a link that somebody put there.
    func checkFolders() throws {
        for folder in [Self.streamFolder, Self.sliceFolder] {
            var info = stat()
            guard lstat(path(folder), &info) == 0, info.st_mode & S_IFMT == S_IFDIR else {
                throw OperationError(
                    .damaged, "\(path(folder)) is not a directory", hint: "Verify the volume before it is written.")
            }
        }
    }

    // MARK: The key

    /// An Ed25519 public key as SubjectPublicKeyInfo.
    static func encoded(_ key: Digest) -> [UInt8] {
        let start: [UInt8] = [0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00]
        return start + key.bytes
    }

    static func pem(_ key: Digest) -> String {
        "-----BEGIN PUBLIC KEY-----\n\(Data(encoded(key)).base64EncodedString())\n-----END PUBLIC KEY-----\n"
    }

    /// What the label shows: SHA-256 of the key's DER form.
    static func fingerprint(_ key: Digest) -> String { ListDigest.of(encoded(key)).hex }

    // MARK: The secret

    static func secretCheck(_ secret: [UInt8], _ id: String) -> String {
        var message = Array("qala/v1/volume check\(id)".utf8) + secret
        defer { Wipe.array(&message) }
        return String(ListDigest.of(message).hex.prefix(32))
    }

    /// The text of a secret file; its first line is what `openssl -pass file:` reads.
    static func secretText(_ secret: [UInt8], _ identity: VolumeIdentity) -> String {
        """
        \(String(decoding: secret, as: UTF8.self))
        # Qala: oflayn daşıyıcının sirri / secret of the offline volume \(identity.id)
        # \(identity.title)
        # Daşıyıcıdan ayrı, seyfdə saxlayın. / Keep it in a safe, away from the volume.

        """
    }

    /// The first line of a secret file, if it is the secret of this volume.
    static func secret(from path: String, for identity: VolumeIdentity) throws -> [UInt8] {
        guard var bytes = MediumRead.whole(path, limit: 64 << 10) else {
            throw OperationError(
                .notFound, "\(path) cannot be read", hint: "Name the secret file of the volume with --secret.")
        }
        defer { Wipe.array(&bytes) }
        let line = Array(bytes.prefix { $0 != 0x0A })
        guard line.count == 64, Digest(hex: String(decoding: line, as: UTF8.self)) != nil,
            secretCheck(line, identity.id) == identity.secretCheck
        else {
            throw OperationError(
                .wrongKey, "\(path) is not the secret of volume \(identity.id)",
                hint: "The second line of a secret file names its volume; with a key of the vault "
                    + "`qala volume secret` writes it again.")
        }
        return line
    }

    // MARK: The list

    static func list(_ files: [String: Digest]) -> [UInt8] {
        Array(files.sorted { $0.key < $1.key }.map { "\($0.value.hex)  \($0.key)\n" }.joined().utf8)
    }

    /// Nil for what `list` does not write; names that could lead out of the volume are among that.
    static func files(in list: [UInt8]) -> [String: Digest]? {
        var files: [String: Digest] = [:]
        guard list.isEmpty || list.last == 0x0A else { return nil }
        for line in list.split(separator: 0x0A, omittingEmptySubsequences: true) {
            guard line.count > 66, line.count < 400, line.dropFirst(64).starts(with: [0x20, 0x20]),
                let digest = Digest(hex: String(decoding: line.prefix(64), as: UTF8.self))
            else { return nil }
            let name = String(decoding: line.dropFirst(66), as: UTF8.self)
            guard isName(name), files.updateValue(digest, forKey: name) == nil else { return nil }
        }
        return files
    }

    /// Letters, digits, dots and dashes, in the root or one folder below it.
    static func isName(_ name: String) -> Bool {
        let parts = name.utf8.split(separator: 0x2F, omittingEmptySubsequences: false)
        guard parts.count <= 2 else { return false }
        for part in parts {
            if part.isEmpty || part.first == 0x2E || !part.allSatisfy(isNameByte) { return false }
        }
        return true
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E: true
        default: false
        }
    }

    /// Writes the list and then its signature; between the two the medium holds `UNFINISHED.txt` or nothing else.
    func publish(_ list: [UInt8], by key: SigningKey) throws {
        _ = try MediumFile.write(path(Self.listName), list)
        _ = try MediumFile.write(path(Self.signatureName), try key.sign(list))
        try MediumFile.syncDirectory(directory)
    }

    /// From here on the volume is whole.
    func removeMark() throws {
        let mark = path(Self.unfinishedName)
        if unlink(mark) != 0 {
            let reason = errno
            guard reason == ENOENT else { throw MediumFile.failure("remove", mark, reason) }
        }
        try MediumFile.syncDirectory(directory)
    }

    /// Regular files below the directory, as names of a list; what is no regular file or directory too.
    func names() throws -> [String] {
        var found: [String] = []
        for name in try StateFile.list(directory) where name != "lost+found" {
            var info = stat()
            guard lstat(path(name), &info) == 0 else { continue }
            guard info.st_mode & S_IFMT == S_IFDIR else {
                found.append(name)
                continue
            }
            if name != Self.streamFolder, name != Self.sliceFolder { found.append(name) }
            for inner in try StateFile.list(path(name)) { found.append("\(name)/\(inner)") }
        }
        return found
    }
}
