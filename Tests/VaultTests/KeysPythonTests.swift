import Domain
import Foundation
import Testing
import Vault

/// What Swift sealed, opened by Python's `cryptography` from the text of the format.
@Suite("Sealed here, opened elsewhere")
struct KeysPythonTests {
    /// Runs a program of the project's Python with the file `input` and returns its exit status and output.
    private static func python(_ program: String, input: [UInt8] = []) throws -> (status: Int32, output: String) {
        let file = FileManager.default.temporaryDirectory.appending(path: "qala-\(UUID().uuidString).json")
        try Data(input).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let process = Process()
        process.executableURL = Vectors.root.appending(path: "scripts/python")
        process.arguments = ["-c", program, file.path]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: data, as: UTF8.self))
    }

    private static let hasModules: Bool = {
        let probe = "import cryptography as c; raise SystemExit(int(c.__version__.split('.')[0]) < 48)"
        return (try? python(probe).status) == 0
    }()

    @Test(
        "Key set, keyring, record, header, signature and code",
        .enabled(if: hasModules, "Python's cryptography 48 is missing: scripts/setup installs it"))
    func opensElsewhere() throws {
        let (vaultID, sessionID) = (Random.digest(), Random.digest())
        let (kit, session) = (try Secret.random(), try Secret.random())
        let reader = try KeySet.makeReader(
            kind: .passphrase, label: "açar", secret: kit, vaultID: vaultID, administrator: true, created: 1,
            passphrase: Array("gizli söz".utf8), scrypt: ScryptParameters(log2N: 4, r: 8, p: 2), suite: .hmacSHA256)
        let writer = try SigningKey(seed: try Secret.random())
        let new = try KeySet.first(readers: [reader])
            .addingDomain(writer: writer.publicKey, label: "host", vaultID: vaultID)
        let domain = try #require(new.keySet.currentDomain(new.domainID))
        let keyring = try Keyring(sealing: session, vaultID: vaultID, sessionID: sessionID, to: domain)
        let key = try SessionKey(session, vaultID: vaultID, sessionID: sessionID)
        let plain = Random.bytes(1000)
        let label = RecordLabel(
            packID: Random.digest(), slot: 3, kind: 1, codec: 1, storedLength: 1000, chunkID: Random.digest())
        let (sealed, commitment) = try RecordCipher().sealed(plain, label, key)
        let message = Array("qala/v1/log".utf8) + Random.bytes(99)
        let values: [String: [UInt8]] = [
            "vault": vaultID.bytes, "session": sessionID.bytes, "keySet": try new.keySet.encode(),
            "keyring": keyring.encode(), "sessionCommitment": key.commitment.bytes,
            "identity": new.identity.withBytes { Array($0) }, "plain": plain, "sealed": sealed,
            "recordCommitment": commitment.bytes, "pack": label.packID.bytes, "chunk": label.chunkID.bytes,
            "header": try key.sealHeader(Array("{}".utf8)), "message": message,
            "signature": try writer.sign(message), "code": Array(KeyText.encode(kit, vaultID: vaultID).utf8),
        ]
        let input = try JSONEncoder().encode(values.mapValues { Hex.encode($0) })
        let (status, output) = try Self.python(Self.program, input: Array(input))
        #expect(status == 0, "\(output)")
        #expect(output == "opened\n")
    }

    /// Reads the key set by offsets, from the passphrase down to the plaintext of the record.
    private static let program = """
        import hashlib, json, struct, sys
        from cryptography.hazmat.primitives import hashes, hpke
        from cryptography.hazmat.primitives.asymmetric import ed25519, mlkem, x25519
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        v = {name: bytes.fromhex(text) for name, text in json.load(open(sys.argv[1])).items()}
        suite = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
        hkdf = lambda k, info, n=32: HKDF(algorithm=hashes.SHA256(), length=n, salt=v["vault"], info=info).derive(k)

        def private(seed):
            x = hashlib.shake_256(seed).digest(96)
            return hpke.MLKEM768X25519PrivateKey(
                mlkem.MLKEM768PrivateKey.from_seed_bytes(x[:64]), x25519.X25519PrivateKey.from_private_bytes(x[64:]))

        data, at = v["keySet"], 0
        def take(n):
            global at
            at += n
            return data[at - n:at]

        assert take(17) == b"QALAKEYS" + bytes([1]) + struct.pack("<Q", 2)
        assert take(4) == bytes([1, 1, 1, 5]) and take(5) == "açar".encode() and take(8) == struct.pack("<Q", 1)
        public, admin = take(1216), take(32)
        log_n, r, p = take(3)
        salt, wrapped = take(32), take(48)
        key = hashlib.scrypt("gizli söz".encode(), salt=salt, n=1 << log_n, r=r, p=p, dklen=32)
        s = AESGCM(key).decrypt(bytes(12), wrapped, b"qala/v1/slot" + v["vault"] + public + admin)
        assert take(1) == bytes([1])
        domain, generation = take(32), take(4)
        domain_public = take(1216)
        assert take(1) == bytes([1])
        assert take(32) == hashlib.sha256(b"qala/v1/reader-id" + public).digest()
        domain_info = b"qala/v1/domain" + v["vault"] + domain + generation
        opened = suite.decrypt(take(1200), private(hkdf(s, b"qala/v1/reader")), domain_info)
        seed, identity = opened[:32], opened[32:]
        assert identity == v["identity"]
        assert take(1) == bytes([1])
        writer = take(32)
        assert take(38) == domain + bytes([1, 4]) + b"host" and at == len(data)

        ring = v["keyring"]
        assert ring[:109] == b"QALARING" + bytes([1]) + v["vault"] + v["session"] + domain + generation
        assert len(ring) == 1277
        session = suite.decrypt(ring[109:], private(seed), b"qala/v1/keyring" + ring[9:109])
        assert hkdf(session, b"qala/v1/commit" + v["session"]) == v["sessionCommitment"]

        info = b"qala/v1/record" + v["pack"] + struct.pack("<IBBI", 3, 1, 1, 1000) + v["chunk"]
        derived = hkdf(session, info, 48)
        assert derived[32:] == v["recordCommitment"]
        assert AESGCM(derived[:32]).decrypt(bytes(12), v["sealed"], v["vault"] + info) == v["plain"]
        label = b"qala/v1/header"
        header_key = AESGCM(hkdf(session, label + v["session"]))
        assert header_key.decrypt(bytes(12), v["header"], label + v["vault"] + v["session"]) == b"{}"
        ed25519.Ed25519PublicKey.from_public_bytes(writer).verify(v["signature"], v["message"])
        code = v["code"].decode().replace("-", "")[5:]
        number = 0
        for digit in code: number = number << 5 | "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(digit)
        assert (number >> 4).to_bytes(37, "big")[:32] == s
        print("opened")
        """
}
