import Domain
import Foundation
import TestSupport
import Testing
import Vault

/// Appending, reading and proving, and what opening compares.
@Suite("Audit: the log")
struct AuditLogTests {
    @Test("Entries come back in order after reopening, across blocks and segments, and prove themselves at any size")
    func reopens() throws {
        let place = try AuditBench.Place()
        let seed = UInt64.random(in: 0 ... .max)
        var random = SplitMix(seed: seed)
        var count = 0
        var roots: [UInt64: Digest] = [0: Merkle.empty]
        for step in [1, 254, 1, 1, 300, 0, 3600, 37] {
            let log = try AuditBench.open(LinuxCalls.shared, path: place.log)
            #expect(log.size == UInt64(count))
            try AuditBench.fill(log, count..<count + step)
            count += step
            roots[log.size] = log.lastCheckpoint.root
        }
        let log = try AuditBench.open(LinuxCalls.shared, path: place.log)
        try log.append(AuditBench.act(count))
        count += 1
        var leaves: [Digest] = []
        try log.entries(0..<UInt64(count)) { entry in
            #expect(entry.number == UInt64(leaves.count) && entry.act == AuditBench.act(leaves.count))
            leaves.append(Merkle.leaf(entry.line))
        }
        #expect(leaves.count == count)
        for (size, root) in roots { #expect(AuditMerkleTests.mth(leaves[..<Int(size)]) == root) }
        for _ in 0..<(AuditBench.isLong ? 200 : 12) {
            let size = UInt64.random(in: 1...UInt64(count), using: &random)
            let old = UInt64.random(in: 0...size, using: &random)
            let number = UInt64.random(in: 0..<size, using: &random)
            let root = AuditMerkleTests.mth(leaves[..<Int(size)])
            let proof = try log.inclusionProof(number, size: size)
            #expect(proof.root == root && proof.leaf == leaves[Int(number)], "seed \(seed)")
            #expect(
                Merkle.verifyInclusion(of: proof.leaf, at: number, size: size, path: proof.path, root: root))
            let path = try log.consistencyProof(from: old, to: size)
            let oldRoot = AuditMerkleTests.mth(leaves[..<Int(old)])
            #expect(Merkle.verifyConsistency(from: old, oldRoot, to: size, root, path: path), "seed \(seed)")
        }
        #expect(try log.entry(4100).number == 4100)
        #expect(throws: VaultError.self) { try log.entry(UInt64(count)) }
        #expect(throws: VaultError.self) { try log.inclusionProof(1, size: UInt64(count) + 1) }
        let report = try log.verify()
        #expect(report.isClean && report.size == UInt64(count))
    }

    @Test("One process appends; others read beside it, and see what is signed and what is not yet")
    func readers() throws {
        let place = try AuditBench.Place()
        let log = try AuditBench.open(LinuxCalls.shared, path: place.log)
        #expect { try AuditBench.open(LinuxCalls.shared, path: place.log) } throws: {
            ($0 as? VaultError)?.code == .conflict
        }
        try log.append(AuditBench.act(0))
        let reader = try AuditLog.openForReading(directory: place.log, trust: try AuditBench.trust())
        #expect(reader.size == 1 && reader.lastCheckpoint.size == 0)
        #expect(try reader.entry(0).act == AuditBench.act(0))
        #expect(try reader.verify().recent == 1)
        #expect { try reader.append(AuditBench.act(1)) } throws: { ($0 as? VaultError)?.code == .notAllowed }
        #expect { try AuditLog.openForReading(directory: place.log, trust: try AuditBench.trust(8)) } throws: {
            ($0 as? VaultError)?.code == .damaged
        }
        let other = AuditTrust(origin: "other", key: try AuditBench.key().publicKey)
        #expect { try AuditLog.openForReading(directory: place.log, trust: other) } throws: {
            ($0 as? VaultError)?.code == .invalidInput
        }
    }

    @Test("A reader that opens again and again while another thread appends never sees damage")
    func readersRace() throws {
        let place = try AuditBench.Place()
        let log = try AuditBench.open(LinuxCalls.shared, path: place.log)
        let appender = Thread {
            for number in 0..<1200 { _ = try? log.append(AuditBench.act(number), durably: number % 40 == 0) }
        }
        appender.start()
        var opened = 0
        while !appender.isFinished {
            _ = try AuditLog.openForReading(directory: place.log, trust: try AuditBench.trust())
            #expect(try AuditBench.verify(place).isClean)
            opened += 1
        }
        #expect(log.size == 1200 && opened > 0)
    }

    @Test("Threads that append at once get numbers of their own, and all their entries are there")
    func threads() throws {
        let place = try AuditBench.Place()
        let log = try AuditBench.open(LinuxCalls.shared, path: place.log)
        let threads = (0..<4).map { thread in
            Thread {
                for at in 0..<100 {
                    _ = try? log.append(AuditBench.act(at, run: "t\(thread)"), durably: at % 20 == 0)
                }
            }
        }
        threads.forEach { $0.start() }
        while threads.contains(where: { !$0.isFinished }) { usleep(1000) }
        var seen: [String: Int] = [:]
        try log.entries(0..<log.size) { entry in
            #expect(entry.act == AuditBench.act(seen[entry.act.run, default: 0], run: entry.act.run))
            seen[entry.act.run, default: 0] += 1
        }
        #expect(seen == ["t0": 100, "t1": 100, "t2": 100, "t3": 100])
    }

    @Test("A shorter log and a different one are told from the pinned one, and the error names the sizes")
    func pinned() throws {
        let (place, other) = (try AuditBench.Place(), try AuditBench.Place())
        try AuditBench.makeLog(300, in: place)
        let early = try AuditBench.open(LinuxCalls.shared, path: place.log).lastCheckpoint
        try FileManager.default.copyItem(atPath: place.log, toPath: other.log)
        try AuditBench.fill(try AuditBench.open(LinuxCalls.shared, path: place.log), 300..<420)
        let late = try AuditBench.open(LinuxCalls.shared, path: place.log, pinned: [early]).lastCheckpoint
        #expect(late.size == 420)

        #expect { try AuditBench.open(LinuxCalls.shared, path: other.log, pinned: [early, late]) } throws: { error in
            guard let error = error as? VaultError else { return false }
            return error.code == .rolledBack && error.message.contains("300") && error.message.contains("420")
        }
        #expect(try AuditBench.verify(other, pinned: [late]).findings == [AuditFinding(.rolledBack, 300..<420)])
        // The same host goes on differently: a split view.
        let fork = try AuditBench.open(LinuxCalls.shared, path: other.log)
        try AuditBench.fill(fork, 1000..<1200)
        #expect {
            try AuditLog.openForReading(directory: other.log, trust: try AuditBench.trust(), pinned: [late])
        } throws: {
            guard let error = $0 as? VaultError else { return false }
            return error.code == .rolledBack && error.message.contains("420") && error.message.contains("500")
        }
        #expect(try fork.verify(pinned: [late]).findings == [AuditFinding(.splitView, 0..<420)])
        #expect(try fork.verify(pinned: [early]).isClean)
    }

    @Test("Another site cosigns what only grew; its checkpoint is kept and finds a rollback by itself")
    func cosigned() throws {
        let (place, old) = (try AuditBench.Place(), try AuditBench.Place())
        try AuditBench.makeLog(10, in: place)
        try FileManager.default.copyItem(atPath: place.log, toPath: old.log)
        let trust = try AuditBench.trust()
        let standby = try AuditBench.key(9)
        let cosigner = AuditKey(name: "standby.example", kind: .cosigner, publicKey: standby.publicKey)
        func cosign(
            _ checkpoint: AuditCheckpoint, after last: AuditCheckpoint?, _ proof: [Digest]
        ) throws -> AuditCheckpoint {
            try checkpoint.cosigned(
                after: last, consistency: proof, for: trust, by: standby, named: cosigner.name, at: 1_700_000_000)
        }
        let log = try AuditBench.open(LinuxCalls.shared, path: place.log)
        let first = try cosign(log.lastCheckpoint, after: nil, [])
        #expect(first.isSigned(by: cosigner) && first.isValid(for: trust))
        try AuditBench.fill(log, 10..<30)
        let proof = try log.consistencyProof(from: 10, to: 30)
        let second = try cosign(log.lastCheckpoint, after: first, proof)
        #expect(throws: VaultError.self) { try cosign(log.lastCheckpoint, after: first, proof.dropLast()) }
        #expect { try cosign(first, after: second, []) } throws: { ($0 as? VaultError)?.code == .rolledBack }
        #expect(throws: VaultError.self) { try log.keep(cosigned: log.lastCheckpoint, by: cosigner) }
        try log.keep(cosigned: second, by: cosigner)

        // Everything but the cosigned checkpoint is put back.
        let name = "cosigned/\(cosigner.idText)"
        let kept = try place.bytes(name)
        try FileManager.default.createDirectory(at: old.file("cosigned"), withIntermediateDirectories: true)
        try old.write(name, kept)
        #expect { try AuditBench.open(LinuxCalls.shared, path: old.log) } throws: {
            ($0 as? VaultError)?.code == .rolledBack
        }
        try old.write(name, Array(kept.dropLast(3)))
        #expect(try AuditBench.verify(old).findings == [AuditFinding(.cosigned, 0..<10)])
    }

    @Test("After a change of key the old one counts up to the size that it was told, and no further")
    func newKey() throws {
        let place = try AuditBench.Place()
        try AuditBench.makeLog(300, in: place)
        let old = try AuditBench.key().publicKey
        #expect(throws: VaultError.self) { try AuditBench.open(LinuxCalls.shared, path: place.log, seed: 8) }
        #expect(throws: VaultError.self) {
            try AuditBench.open(
                LinuxCalls.shared, path: place.log, seed: 8, older: [.init(publicKey: old, upTo: 299)])
        }
        let older = [AuditTrust.Older(publicKey: old, upTo: 300)]
        let log = try AuditBench.open(LinuxCalls.shared, path: place.log, seed: 8, older: older)
        #expect(log.lastCheckpoint.isValid(for: try AuditBench.trust(8)))
        try AuditBench.fill(log, 300..<600)
        #expect(try log.verify().isClean)
        let report = try AuditVerifier.run(directory: place.log, trust: try AuditBench.trust(8))
        #expect(report.findings == [AuditFinding(.history, 0..<256)])
    }

    @Test("Only the maker of a log is given one where there is none, and never over the rest of another one")
    func creating() throws {
        let place = try AuditBench.Place()
        #expect { try AuditBench.open(LinuxCalls.shared, path: place.url.path, creating: false) } throws: {
            ($0 as? VaultError)?.code == .notFound
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: place.url.path).isEmpty)
        try AuditBench.makeLog(3, in: place)
        try FileManager.default.removeItem(at: place.file("format"))
        #expect { try AuditBench.open(LinuxCalls.shared, path: place.log) } throws: {
            ($0 as? VaultError)?.code == .damaged
        }
        try place.write("format", Array("qala-audit 2\n\(AuditBench.origin)\n".utf8))
        #expect { try AuditBench.open(LinuxCalls.shared, path: place.log) } throws: {
            ($0 as? VaultError)?.code == .unsupportedFormat
        }
    }

    @Test("Lost or wrong hashes and history are made again from the entries, and the log tells of it")
    func rebuilds() throws {
        for harm in 0..<4 {
            let place = try AuditBench.Place()
            try AuditBench.makeLog(700, in: place)
            switch harm {
            case 0: try FileManager.default.removeItem(at: place.file("hashes"))
            case 1: try place.write("hashes/1", Array(try place.bytes("hashes/1").reversed()))
            case 2: try place.write("hashes/0", Array(try place.bytes("hashes/0").dropLast(5)))
            default:
                try place.write("history", [])
                try place.write("hashes/0", [])
            }
            #expect(throws: VaultError.self) {
                try AuditLog.openForReading(directory: place.log, trust: try AuditBench.trust())
            }
            let before = try AuditBench.verify(place)
            #expect(!before.isClean && before.findings.allSatisfy(\.canBeMadeAgain))
            let log = try AuditBench.open(LinuxCalls.shared, path: place.log)
            #expect(log.size == 701)
            #expect(try log.entry(700).act.operation == "audit.rebuild")
            #expect(try log.verify().isClean && log.inclusionProof(0, size: 700).path.count == 10)
        }
    }
}
