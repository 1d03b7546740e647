import Domain
import Foundation
import TestSupport
import Testing
import Vault

/// What an auditor takes away and checks elsewhere.
@Suite("Audit: packs")
struct AuditPackTests {
    private static let script = AuditBench.root.appending(path: "scripts/audit-check").path

    /// A log of 700 entries with a cosigned checkpoint at 300, and what came of it on the way.
    private struct World {
        let place: AuditBench.Place
        let log: AuditLog
        let early: AuditCheckpoint
        let cosigner: AuditKey
        let key: AuditKey

        init() throws {
            place = try AuditBench.Place()
            log = try AuditBench.open(LinuxCalls.shared, path: place.log)
            try AuditBench.fill(log, 0..<120)
            early = log.lastCheckpoint
            try AuditBench.fill(log, 120..<300)
            let standby = try AuditBench.key(9)
            cosigner = AuditKey(name: "standby.example", kind: .cosigner, publicKey: standby.publicKey)
            try log.keep(
                cosigned: try log.lastCheckpoint.cosigned(by: standby, named: cosigner.name, at: 1_700_000_000),
                by: cosigner)
            try AuditBench.fill(log, 300..<700)
            key = AuditKey(name: AuditBench.origin, kind: .log, publicKey: try AuditBench.key().publicKey)
        }

        func pack(_ range: Range<UInt64>, since: AuditCheckpoint? = nil, _ name: String = "pack") throws -> String {
            let path = place.url.appending(path: name).path
            try log.export(range, since: since, to: path)
            return path
        }
    }

    @Test("Any range exports to a pack that proves its entries against the signed log")
    func ranges() throws {
        let world = try World()
        let trust = try AuditBench.trust()
        for range: Range<UInt64> in [0..<1, 0..<700, 699..<700, 255..<257, 256..<512, 3..<600, 511..<512] {
            let path = try world.pack(range, since: world.early)
            var entries: [AuditEntry] = []
            let pack = try AuditPack.verify(path: path, trust: trust, since: world.early) { entries.append($0) }
            #expect(pack.range == range && pack.checkpoint.size == 700 && pack.key == world.key)
            #expect(pack.since == world.early && pack.cosigned.map(\.size) == [300])
            #expect(pack.cosigned[0].isSigned(by: world.cosigner))
            #expect(entries.map(\.number) == Array(range))
            #expect(entries.allSatisfy { $0.act == AuditBench.act(Int($0.number)) })
        }
        #expect(throws: VaultError.self) { try world.pack(0..<0) }
        #expect(throws: VaultError.self) { try world.pack(0..<701) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: world.place.url.path).sorted() == ["log", "pack"])
    }

    @Test("A pack of another key, another log, or one that does not continue the known checkpoint is refused")
    func otherLogs() throws {
        let world = try World()
        let path = try world.pack(5..<9)
        #expect(throws: VaultError.self) { try AuditPack.verify(path: path, trust: try AuditBench.trust(8)) }
        let other = AuditTrust(origin: "other", key: world.key.publicKey)
        #expect(throws: VaultError.self) { try AuditPack.verify(path: path, trust: other) }
        #expect { try AuditPack.verify(path: path, since: world.early) } throws: {
            ($0 as? VaultError)?.code == .rolledBack
        }
        // A fork of the log signs what the first one never had.
        let fork = try AuditBench.Place()
        let forked = try AuditBench.open(LinuxCalls.shared, path: fork.log)
        try AuditBench.fill(forked, 1000..<1800)
        #expect { try forked.export(5..<9, since: world.early, to: path) } throws: {
            ($0 as? VaultError)?.code == .rolledBack
        }
        #expect(try AuditPack.verify(path: path, trust: try AuditBench.trust()).range == 5..<9)
    }

    @Test("No byte of a pack can change unnoticed, and none can be left out or added")
    func everyByte() throws {
        let world = try World()
        let path = try world.pack(254..<258, since: world.early)
        let trust = try AuditBench.trust()
        let bytes = Array(try Data(contentsOf: URL(filePath: path)))
        func isTaken(_ changed: [UInt8]) throws -> Bool {
            try Data(changed).write(to: URL(filePath: path))
            do throws(VaultError) {
                _ = try AuditPack.verify(path: path, trust: trust, since: world.early)
                return true
            } catch {
                return false
            }
        }
        #expect(try isTaken(bytes))
        let step = AuditBench.isLong ? 1 : 29
        for at in stride(from: Int.random(in: 0..<step), to: bytes.count, by: step) {
            var changed = bytes
            changed[at] ^= at % 2 == 0 ? 1 : 0x80
            // A cosignature is no business of the log's own key; who wants it asks for the cosigner.
            if try isTaken(changed) {
                let pack = try AuditPack.verify(path: path, trust: trust)
                #expect(!pack.cosigned.contains { $0.isSigned(by: world.cosigner) }, "byte \(at)")
            }
            var shorter = bytes
            shorter.remove(at: at)
            if try isTaken(shorter) {
                let pack = try AuditPack.verify(path: path, trust: trust)
                #expect(!pack.cosigned.contains { $0.isSigned(by: world.cosigner) }, "without byte \(at)")
            }
            #expect(try !isTaken(Array(bytes[..<at])))
        }
        #expect(try !isTaken(bytes + [0x0A]))
        let lines = bytes.split(separator: 0x0A)
        for swap in 1..<4 {
            var swapped = lines
            swapped.swapAt(swap, swap + 1)
            #expect(try !isTaken(Array(swapped.joined(separator: [0x0A])) + [0x0A]))
        }
    }

    @Test(
        "A page of Python verifies what Swift exported, and refuses what was changed",
        .enabled(if: AuditBench.hasPython, "scripts/setup installs Python's cryptography"))
    func python() throws {
        let world = try World()
        let since = world.place.url.appending(path: "since").path
        try Data(world.early.note).write(to: URL(filePath: since))
        func run(_ arguments: [String]) throws -> (status: Int32, said: String) {
            try AuditBench.python([Self.script] + arguments)
        }
        let all = ["--key", world.key.text, "--since", since, "--cosigner", world.cosigner.text]
        for range: Range<UInt64> in [0..<1, 3..<600, 699..<700] {
            let path = try world.pack(range, since: world.early)
            let (status, said) = try run([path] + all)
            #expect(status == 0, "\(range): \(said)")
            #expect(
                said.hasPrefix("\(AuditBench.origin): entries \(range.lowerBound)–\(range.upperBound - 1) of 700 hold"))
        }
        let path = try world.pack(254..<262, since: world.early)
        let bytes = Array(try Data(contentsOf: URL(filePath: path)))
        let seed = UInt64.random(in: 0 ... .max)
        var random = SplitMix(seed: seed)
        var changes: [[UInt8]] = [Array(bytes.dropLast()), bytes + bytes, []]
        for _ in 0..<(AuditBench.isLong ? 300 : 6) {
            var changed = bytes
            let at = Int.random(in: 0..<bytes.count, using: &random)
            changed[at] ^= 1
            changes.append(changed)
        }
        for changed in changes {
            try Data(changed).write(to: URL(filePath: path))
            let (status, said) = try run([path] + all)
            #expect(status == 13 && !said.contains("Traceback"), "seed \(seed): \(said)")
        }
        try Data(bytes).write(to: URL(filePath: path))
        let wrong = AuditKey(name: AuditBench.origin, kind: .log, publicKey: world.cosigner.publicKey).text
        #expect(try run([path, "--key", wrong]).status == 13)
        #expect(
            try run([path, "--cosigner", AuditKey(name: "x", kind: .cosigner, publicKey: .zero).text]).status == 13)
        #expect(try run([path]).said.contains("not compared"))
        #expect(try run([]).status == 64)
    }
}
