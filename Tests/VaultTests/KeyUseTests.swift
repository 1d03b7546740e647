import Domain
import TestSupport
import Testing

@testable import Vault

@Suite("Who can write and who can read")
struct KeyUseTests {
    private func source(_ text: String) -> [Made] {
        [.file("f", Array(text.utf8), inode: 1, stamp: Int64(text.utf8.count))]
    }

    private func bytes(_ bench: VaultBench, _ archive: ArchiveRecord, _ secret: Secret) throws -> [UInt8]? {
        let unlocked = try bench.vault.log.keySet.unlock(secret: secret, vaultID: bench.vault.vaultID)
        return try bench.contents(archive, VaultReader(vault: bench.vault, unlocked: unlocked))["f"]?.bytes
    }

    @Test("A host that can only write archives again and again; reading needs the kit, which it does not keep")
    func writeOnly() throws {
        let bench = try VaultBench()
        for text in ["one", "two", "three!"] {
            try bench.reopen()
            _ = try bench.archive(source(text))
        }
        let archives = bench.vault.log.archives
        #expect(archives.count == 3)
        #expect(try bench.contents(archives[0])["f"]?.bytes == Array("one".utf8))
        #expect(throws: VaultError.self) { try bytes(bench, archives[0], try Secret.random()) }

        let unlocked = try bench.vault.log.keySet.unlock(secret: bench.kit, vaultID: bench.vault.vaultID)
        let archive = archives[0].opening
        let domain = try bench.vault.log.keySet.openDomain(
            archive.domain, generation: archive.generation, with: unlocked)
        var files: [String] = []
        func collect(_ path: String) throws {
            guard let names = try? StateFile.list(path) else { return files.append(path) }
            for name in names { try collect("\(path)/\(name)") }
        }
        try collect(bench.scratch.path)
        #expect(files.contains { $0.hasSuffix("/writer") })
        for file in files {
            let content = try StateFile.read(file, limit: 1 << 26) ?? []
            for secret in [bench.kit, domain.seed] {
                let needle = secret.withBytes { Array($0) }
                let isThere = content.indices.contains { content[$0...].starts(with: needle) }
                #expect(!isThere, "\(file) holds a key that reads")
            }
        }
    }

    @Test("After the keys were rotated old and new archives are read, and nothing is stored twice")
    func rotation() throws {
        let bench = try VaultBench()
        let first = try bench.archive(source("the same text"))
        let unlocked = try bench.vault.log.keySet.unlock(secret: bench.kit, vaultID: bench.vault.vaultID)
        try bench.vault.changeKeys(by: unlocked) { keys throws(VaultError) in try keys.rotatingDomains(with: unlocked) }
        ScratchDirectory.remove("\(bench.vault.host.directory)/trees")
        try bench.reopen()
        let second = try bench.archive(source("the same text"))
        #expect(second.record.opening.generation == first.record.opening.generation + 1)
        #expect(try bench.kinds(second.record)[.group] == nil)
        for archive in bench.vault.log.archives {
            #expect(try bytes(bench, archive, bench.kit) == Array("the same text".utf8))
        }
    }

    @Test("A reader who was removed reads what was archived before, and nothing after the rotation")
    func removedReader() throws {
        let bench = try VaultBench()
        let admin = try bench.vault.log.keySet.unlock(secret: bench.kit, vaultID: bench.vault.vaultID)
        let secret = try Secret.random()
        let vaultID = bench.vault.vaultID
        let reader = try KeySet.makeReader(
            kind: .file, label: "leaves soon", secret: secret, vaultID: vaultID, administrator: false, created: 1,
            passphrase: nil, scrypt: .standard, suite: .blake3)
        try bench.vault.changeKeys(by: admin) { keys throws(VaultError) in try keys.adding(reader, with: admin) }
        _ = try bench.archive(source("before"))
        let kept = try bench.vault.log.keySet.unlock(secret: secret, vaultID: vaultID)
        let before = bench.vault.log.archives[0]
        #expect(try bytes(bench, before, secret) == Array("before".utf8))

        let records = bench.vault.log.count
        // Two steps in one record would be refused by every reader of the log.
        #expect {
            try bench.vault.changeKeys(by: admin) { keys throws(VaultError) in
                try keys.removing(reader.id).rotatingDomains(with: admin)
            }
        } throws: { ($0 as? VaultError)?.code == .invalidInput }
        try bench.reopen()
        #expect(bench.vault.log.count == records)
        try bench.vault.changeKeys(by: admin) { keys throws(VaultError) in try keys.removing(reader.id) }
        try bench.vault.changeKeys(by: admin) { keys throws(VaultError) in try keys.rotatingDomains(with: admin) }
        _ = try bench.archive(source("afterwards"))
        let after = bench.vault.log.archives[1]
        // With the key in hand and the vault's old key set even: the new generation was never wrapped for it.
        #expect(throws: VaultError.self) { try bytes(bench, after, secret) }
        #expect(throws: VaultError.self) {
            try bench.contents(after, VaultReader(vault: bench.vault, unlocked: kept))
        }
        #expect(throws: VaultError.self) {
            try bench.vault.changeKeys(by: kept) { keys throws(VaultError) in try keys.adding(reader, with: kept) }
        }
        #expect(try bytes(bench, after, bench.kit) == Array("afterwards".utf8))
    }
}
