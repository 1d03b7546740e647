import Domain
import TestSupport
import Testing
@testable import Vault

@Suite("Records and objects from a hostile store")
struct VaultHostileFaultTests {
    private struct Bench {
        let store = MemoryStore()
        let made: WorkloadVault
        let vault: Vault
        let writer: WriterIdentity
        let clean: [String: [UInt8]]
        /// A session of the first host that is still running.
        let running: Digest
        let archive: ArchiveRecord
        /// A host that was enrolled and then revoked, with a session that was running then.
        let revoked: WriterIdentity
        let revokedSession: Digest

        init() throws {
            made = try WorkloadVault(store)
            let tree = WorkloadTree(seed: 1, files: 3, chunked: 0)
            archive = try tree.archive(into: made.vault, source: WorkloadVault.source(1))
            let place = try WorkloadPlace()
            let second = try made.reopened(nil, place)
            let admin = try made.unlock(second)
            try second.enrol(label: "second", by: admin)
            revoked = try second.writer()
            let session = try ArchiveSession(
                vault: second, source: WorkloadVault.source(2), options: WorkloadTree.options)
            session.stop()
            revokedSession = session.id
            let key = revoked.signing.publicKey
            try second.changeKeys(by: admin) { (keys) throws(VaultError) in try keys.revokingWriter(key) }
            let first = try made.reopened()
            let live = try ArchiveSession(vault: first, source: WorkloadVault.source(3), options: WorkloadTree.options)
            live.stop()
            running = live.id
            vault = try made.reopened()
            writer = try vault.writer()
            clean = store.contents
        }

        /// Puts a record at the end of the log as the store's owner could, and opens the vault.
        func open(
            by key: SigningKey, number: UInt64? = nil, previous: Digest? = nil, vaultID: Digest? = nil,
            at place: UInt64? = nil, _ body: LogBody
        ) throws -> VaultError? {
            let record = LogRecord(
                number: number ?? vault.log.count, previous: previous ?? vault.log.head, signer: key.publicKey, time: 0,
                body: body)
            return open(bytes: try record.encode(vaultID: vaultID ?? vault.vaultID, key: key), at: place)
        }

        func open(bytes: [UInt8], at place: UInt64? = nil) -> VaultError? {
            store.contents = clean
            store.contents[LogRecord.objectName(place ?? vault.log.count)] = bytes
            do {
                // A host that remembers nothing: else the record before it would be a reason to refuse this one.
                let place = try WorkloadPlace()
                _ = try made.reopened(nil, place)
                return nil
            } catch {
                return error as? VaultError
            }
        }

        func opening(_ writer: WriterIdentity, _ session: Digest = Random.digest()) -> SessionOpening {
            var opening = archive.opening
            opening.session = session
            opening.domain = writer.domain
            return opening
        }

        func commit(_ session: Digest) -> LogBody {
            var commit = archive.commit
            commit.session = session
            return .commit(commit)
        }
    }

    @Test("Records that their signer had no right to, or that do not continue the log, are damage")
    func rights() throws {
        let bench = try Bench()
        let own = bench.writer.signing
        let stranger = try SigningKey(seed: try Secret.random())
        let admin = try bench.made.unlock(bench.vault).adminKey
        let keys = try #require(bench.vault.log.keySets.last)
        let reference = bench.archive.commit.manifest
        // What is tried is right but for one thing: first the control.
        #expect(try bench.open(by: own, .open(bench.opening(bench.writer))) == nil)
        #expect(try bench.open(by: own, .abort(session: bench.running)) == nil)
        #expect(try bench.open(by: own, .checkpoint(session: bench.running, number: 1, manifest: reference)) == nil)
        #expect(try bench.open(by: own, bench.commit(bench.running)) == nil)

        let tries: [(String, VaultError?)] = [
            ("unknown signer", try bench.open(by: stranger, .open(bench.opening(bench.writer)))),
            ("unknown signer ends a session", try bench.open(by: stranger, .abort(session: bench.running))),
            ("revoked writer opens", try bench.open(by: bench.revoked.signing, .open(bench.opening(bench.revoked)))),
            ("revoked writer commits", try bench.open(by: bench.revoked.signing, bench.commit(bench.revokedSession))),
            (
                "revoked writer's checkpoint",
                try bench.open(
                    by: bench.revoked.signing,
                    .checkpoint(session: bench.revokedSession, number: 1, manifest: reference))
            ),
            ("writer changes keys", try bench.open(by: own, .key(keys))),
            ("administrator opens", try bench.open(by: admin, .open(bench.opening(bench.writer)))),
            ("administrator commits", try bench.open(by: admin, bench.commit(bench.running))),
            ("administrator puts the same keys again", try bench.open(by: admin, .key(keys))),
            ("another writer's session", try bench.open(by: own, bench.commit(bench.revokedSession))),
            ("another writer's domain", try bench.open(by: own, .open(bench.opening(bench.revoked)))),
            ("a session twice", try bench.open(by: own, .open(bench.opening(bench.writer, bench.running)))),
            ("a committed session again", try bench.open(by: own, bench.commit(bench.archive.id))),
            ("the end of a committed session", try bench.open(by: own, .abort(session: bench.archive.id))),
            ("an unknown session", try bench.open(by: own, bench.commit(Random.digest()))),
            (
                "checkpoint out of order",
                try bench.open(by: own, .checkpoint(session: bench.running, number: 2, manifest: reference))
            ),
            (
                "a generation there is not",
                try bench.open(
                    by: own,
                    .open(
                        {
                            var opening = bench.opening(bench.writer)
                            opening.generation += 7
                            return opening
                        }()))
            ),
            ("another number", try bench.open(by: own, number: 2, .abort(session: bench.running))),
            ("another predecessor", try bench.open(by: own, previous: .zero, .abort(session: bench.running))),
            ("a record of another vault", try bench.open(by: own, vaultID: .zero, .abort(session: bench.running))),
            (
                "a gap",
                try bench.open(
                    by: own, number: bench.vault.log.count + 1, at: bench.vault.log.count + 1,
                    .abort(session: bench.running))
            ),
        ]
        for (what, error) in tries { #expect(error?.code == .damaged, "\(what): \(String(describing: error))") }
        // Only who may change keys can name a key set that is not there; that locks nobody out who could open before.
        let missing = ObjectReference(digest: Random.digest(), length: 900)
        #expect(try bench.open(by: admin, .key(missing)) == nil)
        #expect(try bench.open(by: own, .key(missing))?.code == .damaged)
        let huge = ObjectReference(digest: keys.digest, length: .max)
        #expect(try bench.open(by: admin, .key(huge))?.code == .damaged)
    }

    @Test("Bytes that are no record, too long, or announce more than they hold, are refused")
    func shapes() throws {
        let bench = try Bench()
        let record = LogRecord(
            number: bench.vault.log.count, previous: bench.vault.log.head, signer: bench.writer.signing.publicKey,
            time: 0, body: .abort(session: bench.running))
        let good = try record.encode(vaultID: bench.vault.vaultID, key: bench.writer.signing)
        #expect(bench.open(bytes: good) == nil)
        for count in [0, 1, 63, 64, 65, 100, good.count - 1] {
            #expect(bench.open(bytes: Array(good[..<count]))?.code == .damaged)
        }
        #expect(bench.open(bytes: good + [0])?.code == .damaged)
        #expect(bench.open(bytes: [UInt8](repeating: 0, count: 64 << 10))?.code == .damaged)
        #expect(bench.open(bytes: [UInt8](repeating: 0, count: (64 << 10) + 1))?.code == .limit)
        // Length of the body, and the kind. Signed again, so that the signature is not what refuses it.
        for (at, value) in [(86, UInt8(0xFF)), (87, 0xFF), (88, 0xFF), (89, 0xFF), (5, 0), (5, 6), (5, 255)] {
            var bytes = Array(good.dropLast(64))
            bytes[at] = value
            let message = Array("qala/v1/log".utf8) + bench.vault.vaultID.bytes + bytes
            bytes += try bench.writer.signing.sign(message)
            #expect(bench.open(bytes: bytes)?.code == .damaged)
        }
    }

    @Test(
        "Manifests, references and indexes that lie about lengths and counts are damage to every reader, nothing worse")
    func manifests() throws {
        let bench = try Bench()
        let own = bench.writer.signing
        func write(_ directory: String, _ bytes: [UInt8], _ length: UInt64? = nil) throws -> ObjectReference {
            var reference = try bench.store.putNamedByDigest(directory, bytes, bench.vault.suite)
            if let length { reference.length = length }
            return reference
        }
        let manifest = try bench.vault.manifest(bench.archive.commit.manifest)
        let pack = try #require(manifest.packs.first)
        var forged: [(Manifest) -> Manifest] = []
        for length in [0, 1, 4095, pack.length + 1, UInt64(UInt32.max), .max] {
            forged.append {
                var copy = $0; copy.packs[0].length = length; return copy
            }
            forged.append {
                var copy = $0; copy.segments[0].object.length = length; return copy
            }
            forged.append {
                var copy = $0; copy.references?.length = length; return copy
            }
        }
        forged.append {
            var copy = $0; copy.packs[0].id = .zero; return copy
        }
        forged.append {
            var copy = $0; copy.segments[0].object.digest = .zero; return copy
        }
        forged.append {
            var copy = $0; copy.segments[0].replaced = [copy.segments[0].object.digest]; return copy
        }
        forged.append {
            var copy = $0; copy.segments = []; return copy
        }
        let head = Array("QALAMANI".utf8) + [1] + bench.running.bytes
        let counts: [[UInt8]] = [
            head, head + [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1], head + [0x80, 0x80, 0x40],
            head + [0, 0xFF, 0x1F], head + [0, 0, 9], head + [0, 0, 0, 0], [],
        ]
        let bodies = forged.map { $0(manifest).encode() } + counts
        for (number, bytes) in bodies.enumerated() {
            bench.store.contents = bench.clean
            let reference = try write("manifests", bytes)
            var commit = bench.archive.commit
            commit.session = bench.running
            commit.manifest = reference
            let record = LogRecord(
                number: bench.vault.log.count, previous: bench.vault.log.head, signer: own.publicKey, time: 0,
                body: .commit(commit))
            bench.store.contents[LogRecord.objectName(record.number)] = try record.encode(
                vaultID: bench.vault.vaultID, key: own)
            let place = try WorkloadPlace()
            let vault = try bench.made.reopened(nil, place)
            let scrubber = Scrubber(vault)
            for _ in 0..<2 { #expect(throws: Never.self) { _ = try scrubber.checkStructure() } }
            let found = try scrubber.checkDigests().damage
            let reader = try bench.made.reader(vault)
            _ = try scrubber.checkData(reader)
            // The last two forgeries name only objects that are what they are said to be.
            let isPlain = number == forged.count - 1 || number == forged.count - 2
            #expect(!found.isEmpty || isPlain, "forgery \(number)")
            _ = try? vault.liveSegments(of: bench.writer.domain)
            _ = try? vault.repairIndex()
        }
    }
}
