import Domain
import Glibc
import TestSupport
import Testing

@testable import Vault

@Suite("What the loss of one object must not take with it")
struct LossToleranceTests {
    /// Missing, changed in a byte, or cut.
    private static func spoil(_ store: MemoryStore, _ name: String, _ way: Int) {
        switch way {
        case 0: store.contents[name] = nil
        case 1: store.contents[name]?[20] ^= 1
        default: store.contents[name] = Array(store.contents[name]?.dropLast() ?? [])
        }
    }

    private static let scrypt = ScryptParameters(log2N: 4, r: 8, p: 1)

    /// A vault of one host with the kit and two readers that were added by passphrase: four key sets.
    private struct Keys {
        let store = MemoryStore()
        let made: WorkloadVault
        let tree = WorkloadTree(seed: 51, files: 4, fileBytes: 300, chunked: 5_000)
        let archive: ArchiveRecord
        let names: [String]

        init() throws {
            made = try WorkloadVault(store)
            archive = try tree.archive(into: try made.reopened(), source: WorkloadVault.source(1))
            for phrase in ["one", "two"] { try Self.add(phrase, made) }
            names = try made.reopened().log.keySets.map { "keys/\($0.digest.hex)" }
        }

        static func add(_ phrase: String, _ made: WorkloadVault) throws {
            let vault = try made.reopened()
            let admin = try made.unlock(vault)
            let reader = try KeySet.makeReader(
                kind: .passphrase, label: phrase, secret: try Secret.random(), vaultID: vault.vaultID,
                administrator: false, created: 1, passphrase: Array(phrase.utf8), scrypt: LossToleranceTests.scrypt,
                suite: vault.suite)
            try vault.changeKeys(by: admin) { keys throws(VaultError) in try keys.adding(reader, with: admin) }
        }

        func check(_ vault: Vault, _ phrase: String) throws {
            let reader = VaultReader(vault: vault, unlocked: try vault.unlock(passphrase: Array(phrase.utf8)))
            try tree.check(archive, reader)
        }
    }

    @Test(
        "Without any one key set this host restores with every key, archives, and tells what is damaged",
        arguments: 0..<3)
    func keySets(way: Int) throws {
        let keys = try Keys()
        let clean = keys.store.contents
        for name in keys.names {
            keys.store.contents = clean
            Self.spoil(keys.store, name, way)
            let place = try WorkloadPlace(keys.made.place.snapshot)
            let vault = try keys.made.reopened(nil, place)
            for phrase in ["one", "two"] { try keys.check(vault, phrase) }
            let wrong = #expect(throws: VaultError.self) { try vault.unlock(passphrase: Array("three".utf8)) }
            #expect(wrong?.kind == .wrongKey)
            #expect(try Scrubber(vault).checkDigests().damage.map(\.object) == [name])
            let second = try keys.tree.archive(into: vault, source: WorkloadVault.source(2))
            try keys.tree.check(second, try keys.made.reader(try keys.made.reopened(nil, place)))
        }
    }

    @Test("A host without copies reads with the keys that are left, names the lost key set, and appends nothing")
    func newestKeySet() throws {
        let keys = try Keys()
        let newest = try #require(keys.names.last)
        Self.spoil(keys.store, newest, 0)
        for place in [try WorkloadPlace(), try WorkloadPlace(keys.made.place.snapshot)] {
            place.remove { $0.contains("/keys/") }
            let heads = place.snapshot.filter { $0.key.hasSuffix("/head") }
            let records = keys.store.contents.keys.filter { $0.hasPrefix("log/") }.count
            let vault = try keys.made.reopened(nil, place)
            // What this host could not check it does not vouch for later.
            #expect(place.snapshot.filter { $0.key.hasSuffix("/head") } == heads)
            try keys.check(vault, "one")
            let error = #expect(throws: VaultError.self) { try vault.unlock(passphrase: Array("two".utf8)) }
            #expect(error?.code == .damaged)
            #expect(error.map { $0.message + $0.hint }?.contains(newest) == true)
            let admin = try keys.made.unlock(vault)
            let change = #expect(throws: VaultError.self) {
                try vault.changeKeys(by: admin) { keys throws(VaultError) in try keys.rotatingDomains(with: admin) }
            }
            #expect(change?.code == .damaged)
            #expect(throws: VaultError.self) {
                try keys.tree.archive(into: vault, source: WorkloadVault.source(1))
            }
            #expect(keys.store.contents.keys.filter { $0.hasPrefix("log/") }.count == records)
        }
    }

    @Test("Behind a lost key set nobody gets in whom it did not let in")
    func forgedKeySet() throws {
        let keys = try Keys()
        let vault = try keys.made.reopened()
        let pinned = try WorkloadPlace(keys.made.place.snapshot)
        pinned.remove { $0.contains("/keys/") }
        let forger = try SigningKey(seed: try Secret.random())
        let admin = try keys.made.unlock(vault).adminKey
        let next = try vault.log.keySet.revokingWriter(try vault.writer().signing.publicKey)
        let reference = try vault.store.putNamedByDigest("keys", try next.encode(), vault.suite)
        let clean = keys.store.contents
        Self.spoil(keys.store, try #require(keys.names.last), 0)
        let damaged = keys.store.contents
        for (key, mayStranger) in [(forger, false), (admin, true)] {
            keys.store.contents = damaged
            let record = LogRecord(
                number: vault.log.count, previous: vault.log.head, signer: key.publicKey, time: 1,
                body: .key(reference))
            try keys.store.put(
                LogRecord.objectName(record.number), try record.encode(vaultID: vault.vaultID, key: key))
            let error = #expect(throws: VaultError.self) { try keys.made.reopened(nil, pinned) }
            #expect(error?.code == .damaged)
            #expect(((try? keys.made.reopened(nil, try WorkloadPlace())) != nil) == mayStranger)
            // With a copy of the key set it is as if nothing were lost.
            let knows = try WorkloadPlace(keys.made.place.snapshot)
            #expect(((try? keys.made.reopened(nil, knows)) != nil) == mayStranger)
        }
        keys.store.contents = clean
        _ = try keys.made.reopened()
    }

    @Test(
        "Without the manifest of one archive the others are restored, and what it named is stored again",
        arguments: 0..<3)
    func manifests(way: Int) throws {
        let world = try SweepWorld()
        let store = try #require(world.store as? MemoryStore)
        var tree = WorkloadTree(seed: 61)
        // Two sources, so that the loss leaves archives that never needed it.
        let other = WorkloadTree(seed: 62)
        var archives: [(record: ArchiveRecord, tree: WorkloadTree)] = []
        for round in 0..<10 {
            archives.append((try world.archive(tree), tree))
            tree.change()
            if round == 4 { archives.append((try world.archive(other, 2), other)) }
        }
        let clean = store.contents
        let state = world.made.place.snapshot
        // Before, beside and behind the run that joined segments.
        for lost in [0, 3, 5, 9, 10].map({ archives[$0] }) {
            store.contents = clean
            let place = try WorkloadPlace(state)
            let name = Manifest.objectName(lost.record.commit.manifest.digest)
            Self.spoil(store, name, way)
            let vault = try world.made.reopened(nil, place)
            let reader = try world.made.reader(vault)
            var whole = 0
            for archive in archives {
                do {
                    try archive.tree.check(archive.record, reader)
                    whole += 1
                } catch let error as VaultError {
                    #expect(error.kind == .damaged && error.message.contains(name), "\(error)")
                }
            }
            #expect(whole > 0)
            #expect(try Scrubber(vault).checkDigests().damage.map(\.object).contains(name))
            // Nothing is deleted while it is lost.
            let names = Set(store.contents.keys).filter { $0.hasPrefix("packs/") || $0.hasPrefix("index/") }
            let swept = try world.sweeper(vault).run()
            #expect(!swept.problems.isEmpty && swept.condemnedPacks == 0 && swept.deletedPacks == 0)
            #expect(names.isSubset(of: store.contents.keys))
            // Two runs: the second meets the tree that the first left.
            for _ in 0..<2 {
                let made = try lost.tree.archive(
                    into: try world.made.reopened(nil, place), source: WorkloadVault.source(1))
                let stranger = try WorkloadPlace()
                let seen = try world.made.reopened(nil, stranger)
                try lost.tree.check(made, try world.made.reader(seen))
                let segments = try seen.manifest(made.commit.manifest).segments
                #expect(segments.allSatisfy { $0.replaced.isEmpty })
                // When it is found again everything is as it should be, also after a sweep.
                let without = store.contents[name]
                store.contents[name] = clean[name]
                let again = try world.made.reopened(nil, stranger)
                try lost.tree.check(made, try world.made.reader(again))
                for archive in archives { try archive.tree.check(archive.record, try world.made.reader(again)) }
                #expect(try Scrubber(again).checkDigests().damage.isEmpty)
                store.contents[name] = without
                withExtendedLifetime(stranger) {}
            }
            store.contents[name] = clean[name]
            _ = try world.sweeper(try world.made.reopened(nil, place)).run()
            let last = try WorkloadPlace()
            let after = try world.made.reader(try world.made.reopened(nil, last))
            for archive in archives { try archive.tree.check(archive.record, after) }
            withExtendedLifetime((place, last)) {}
        }
    }

    @Test("Where the state cannot be written the vault is read, and writing is refused before anything is stored")
    func deniedState() throws {
        let keys = try Keys()
        // Even root makes no directory in sysfs; another user may read the state of this one at most.
        var bases = ["/sys/qala-state"]
        let place = try WorkloadPlace(keys.made.place.snapshot)
        let vaultID = try keys.made.reopened().vaultID
        let state = "\(place.path)/\(vaultID.hex.prefix(32))"
        if geteuid() != 0 {
            chmod(state, 0o500)
            bases.append(place.path)
        }
        defer { chmod(state, 0o700) }
        for base in bases {
            let before = keys.store.contents
            let vault = try Vault(store: keys.store, stateBase: base)
            #expect(vault.host.denial?.code == .notAllowed)
            #expect(vault.freshnessProven == (base == place.path))
            for phrase in ["one", "two"] { try keys.check(vault, phrase) }
            let catalog = vault.host.catalogDirectory
            #expect(access(catalog, W_OK) == 0)
            let run = #expect(throws: VaultError.self) {
                try keys.tree.archive(into: vault, source: WorkloadVault.source(1))
            }
            #expect(run?.kind == .denied)
            let admin = try keys.made.unlock(vault)
            let change = #expect(throws: VaultError.self) {
                try vault.changeKeys(by: admin) { keys throws(VaultError) in try keys.rotatingDomains(with: admin) }
            }
            #expect(change?.kind == .denied)
            #expect(throws: VaultError.self) { try Sweeper(vault, by: admin).run() }
            #expect(keys.store.contents == before)
        }
        let created = #expect(throws: VaultError.self) {
            try Vault.create(
                store: MemoryStore(), stateBase: "/sys/qala-state", suite: .blake3, passphrase: nil,
                created: "2026-01-01T00:00:00Z")
        }
        #expect(created?.kind == .denied)
    }
}
