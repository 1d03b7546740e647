import Domain
@testable import Vault

private let vaultID = Digest(words: (1, 2, 3, 4))

let keyTargets = [
    Target(
        name: "key-set",
        run: { bytes in
            guard let keys = try? KeySet.decode(bytes, suite: .blake3) else { return }
            expect((try? keys.encode()) == bytes, "a key set has one encoding")
        },
        seeds: { keySets() }),
    Target(
        name: "keyring",
        run: { bytes in
            guard let keyring = try? Keyring.decode(bytes) else { return }
            expect(keyring.encode() == bytes, "a keyring has one encoding")
        },
        seeds: {
            guard let domain = keySet()?.domains.first, let secret = try? Secret.random(),
                let keyring = try? Keyring(
                    sealing: secret, vaultID: vaultID, sessionID: Digest(words: (9, 9, 9, 9)), to: domain)
            else { return [] }
            return [keyring.encode()]
        }),
    Target(
        name: "key-text",
        run: { bytes in
            guard let secret = try? KeyFile.decode(bytes, vaultID: vaultID) else { return }
            let text = KeyText.encode(secret, vaultID: vaultID)
            guard let same = try? KeyText.decode(text, vaultID: vaultID) else {
                return expect(false, "a key that was read can be written and read")
            }
            expect(KeyText.encode(same, vaultID: vaultID) == text, "a key survives its text")
        },
        seeds: {
            guard let secret = try? Secret.random() else { return [] }
            let code = KeyText.encode(secret, vaultID: vaultID)
            let kit = try? RecoveryKit(
                secret: secret, vaultID: vaultID, logNumber: 3, logDigest: vaultID, created: "2026-01-01",
                vaultLocation: "/srv/vault"
            ).document()
            return [Array(code.utf8), Array(code.lowercased().utf8), Array((kit ?? "").utf8)]
        }),
]

private func keySet() -> KeySet? {
    guard let kit = try? Secret.random(), let seed = try? Secret.random(),
        let reader = try? KeySet.makeReader(
            kind: .kit, label: "kit", secret: kit, vaultID: vaultID, administrator: true, created: 1_700_000_000,
            passphrase: nil, scrypt: .standard, suite: .blake3),
        let first = try? KeySet.first(readers: [reader]), let signing = try? SigningKey(seed: seed)
    else { return nil }
    return try? first.addingDomain(writer: signing.publicKey, label: "host", vaultID: vaultID).keySet
}

private func keySets() -> [[UInt8]] { [try? keySet()?.encode()].compactMap { $0 } }
