import Domain
import Foundation
import TestSupport
import Testing
import Vault

/// Power cuts, failing calls and killed processes.
@Suite("Audit: crashes")
struct AuditCrashTests {
    struct Violation: Error, CustomStringConvertible {
        var description: String
    }

    /// What was acknowledged when, on one simulated disk.
    private struct History {
        let disk: SimulatedDisk
        /// Runs of the acts, in order.
        var asked: [String] = []
        /// Changes on the disk when so many entries were acknowledged; the same for checkpoints.
        var acknowledged: [(changes: Int, count: Int)] = []
        var checkpoints: [(changes: Int, checkpoint: AuditCheckpoint)] = []

        init(_ disk: SimulatedDisk) { self.disk = disk }

        /// A disk with a log of 250 entries, all of it durable.
        static func nearEndOfBlock() throws -> History {
            let made = SimulatedDisk()
            var history = History(made)
            try history.session(made) { history, log in
                try history.append(log, 250, durably: true)
                try history.checkpoint(log)
            }
            let kept = made.crashStates(afterOperation: made.operationCount, seed: 1, count: 1)
            var result = History(try #require(kept.first))
            result.asked = history.asked
            result.acknowledged = [(0, 250)]
            return result
        }

        /// Single acts, batches, checkpoints, two openings.
        mutating func live(_ calls: any FileSystemCalls) throws {
            try session(calls) { history, log in
                for _ in 0..<3 { try history.append(log, 1, durably: true) }
                try history.append(log, 3, durably: false)
                try history.append(log, 2, durably: true)
                try history.checkpoint(log)
                try history.append(log, 4, durably: false)
                try history.append(log, 1, durably: true)
            }
            try session(calls) { history, log in
                try history.append(log, 2, durably: true)
                try history.checkpoint(log)
                try history.append(log, 1, durably: true)
            }
        }

        mutating func session(
            _ calls: any FileSystemCalls, _ body: (inout History, AuditLog) throws -> Void
        ) throws {
            let log = try AuditBench.open(calls)
            checkpoints.append((disk.operationCount, log.lastCheckpoint))
            try body(&self, log)
        }

        private mutating func append(_ log: AuditLog, _ count: Int, durably: Bool) throws {
            let runs = (0..<count).map { "a\(asked.count + $0)" }
            asked += runs
            try log.append(runs.map { AuditBench.act(3, run: $0) }, durably: durably)
            if durably { acknowledged.append((disk.operationCount, asked.count)) }
        }

        private mutating func checkpoint(_ log: AuditLog) throws {
            checkpoints.append((disk.operationCount, try log.checkpoint()))
            acknowledged.append((disk.operationCount, asked.count))
        }

        /// Opens what a power cut after `changes` left; says whether a torn end was cut.
        func check(_ state: SimulatedDisk, cutAt changes: Int) throws -> Bool {
            let promised = acknowledged.last { $0.changes <= changes }?.count ?? 0
            let signed = checkpoints.last { $0.changes <= changes }?.checkpoint
            let log = try AuditBench.open(state, pinned: signed.map { [$0] } ?? [])
            var runs: [String] = []
            var told = 0
            try log.entries(0..<log.size) { entry in
                if entry.act.operation == "audit.recover" { told += 1 } else { runs.append(entry.act.run) }
            }
            guard runs.count >= promised, runs == Array(asked.prefix(runs.count)) else {
                throw Violation(description: "\(runs.count) entries of \(promised) acknowledged")
            }
            let kept = state.names(in: "\(AuditBench.path)/cut").count
            guard (kept > 0) == (told > 0), told <= 1 else {
                throw Violation(description: "\(told) entries tell of \(kept) cut ends")
            }
            try log.append(AuditBench.act(1, run: "next"))
            guard try log.verify(pinned: signed.map { [$0] } ?? []).isClean else {
                throw Violation(description: "not clean after recovery")
            }
            return told > 0
        }
    }

    @Test("A power cut after any change loses no acknowledged entry, needs no hand, and a torn end is told of")
    func powerCuts() throws {
        let seed = UInt64.random(in: 0 ... .max)
        let (states, cuts) = try sweep(SimulatedDisk.Traits(), seed: seed, perChange: AuditBench.isLong ? 100 : 5)
        #expect(states > 200 && cuts > 2, "\(states) states, \(cuts) torn, seed \(seed)")
    }

    @Test("A power cut at the end of a block, with its history and its hashes, loses nothing either")
    func endOfBlock() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var history = try History.nearEndOfBlock()
        try history.live(history.disk)
        let last = history.disk.operationCount
        for change in stride(from: 0, through: last, by: AuditBench.isLong ? 1 : 19) {
            for state in history.disk.crashStates(
                afterOperation: change, seed: seed, count: AuditBench.isLong ? 20 : 2)
            {
                do {
                    _ = try history.check(state, cutAt: change)
                } catch {
                    throw Violation(description: "seed \(seed), change \(change): \(error)")
                }
            }
        }
        #expect(history.asked.count == 266)
    }

    private func sweep(
        _ traits: SimulatedDisk.Traits, seed: UInt64, perChange: Int
    ) throws -> (states: Int, cuts: Int) {
        let disk = SimulatedDisk(traits: traits)
        var history = History(disk)
        try history.live(disk)
        var (states, cuts) = (0, 0)
        let step = AuditBench.isLong ? 1 : 2
        for change in stride(from: Int(seed % 2) % step, through: disk.operationCount, by: step) {
            for state in disk.crashStates(afterOperation: change, seed: seed, count: perChange) {
                do {
                    states += 1
                    if try history.check(state, cutAt: change) { cuts += 1 }
                } catch {
                    throw Violation(description: "seed \(seed), change \(change): \(error)")
                }
            }
        }
        return (states, cuts)
    }

    @Test("Power cuts are noticed where files or directories are not synced")
    func plantedFaults() throws {
        var files = SimulatedDisk.Traits()
        files.ignoresFileSyncs = true
        var directories = SimulatedDisk.Traits()
        directories.ignoresDirectorySyncs = true
        for traits in [files, directories] {
            #expect(throws: (any Error).self) { try sweep(traits, seed: 1, perChange: 3) }
        }
    }

    @Test("A power cut during the recovery from a power cut is recovered from too")
    func twoPowerCuts() throws {
        let seed = UInt64.random(in: 0 ... .max)
        let disk = SimulatedDisk()
        var history = History(disk)
        try history.live(disk)
        var checked = 0
        for change in stride(from: disk.operationCount - 20, through: disk.operationCount, by: 8) {
            for first in disk.crashStates(afterOperation: change, seed: seed, count: 3) {
                _ = try? AuditBench.open(first)
                for again in stride(from: 0, through: first.operationCount, by: AuditBench.isLong ? 1 : 7) {
                    for second in first.crashStates(afterOperation: again, seed: seed, count: 3) {
                        do {
                            _ = try history.check(second, cutAt: change)
                        } catch {
                            throw Violation(description: "seed \(seed), changes \(change) and \(again): \(error)")
                        }
                        checked += 1
                    }
                }
            }
        }
        #expect(checked > 30)
    }

    @Test("Each sync fails once: nothing after it is acknowledged, and a log opened again has all that was")
    func failingSyncs() throws {
        let seed = UInt64.random(in: 0 ... .max)
        // The first two are those of the directory itself, which is made before.
        var ordinal = 3
        var failures = 0
        while true {
            var traits = SimulatedDisk.Traits()
            traits.failingSyncs = [ordinal]
            let disk = SimulatedDisk(traits: traits)
            _ = try LocalStore.creating(path: AuditBench.path, calls: disk)
            var history = History(disk)
            do {
                try history.live(disk)
                break
            } catch let error as VaultError {
                #expect(error.code == .io, "sync \(ordinal): \(error)")
                failures += 1
            }
            // The same machine goes on, then loses power: what the failed sync dropped must not be relied on.
            do {
                let log = try AuditBench.open(disk)
                history.acknowledged.append((disk.operationCount, history.acknowledged.last?.count ?? 0))
                try log.append(AuditBench.act(1, run: "a\(log.size)"))
                var runs: [String] = []
                try log.entries(0..<log.size) { runs.append($0.act.run) }
                history.asked = runs
                history.acknowledged.append((disk.operationCount, runs.count))
            }
            let end = disk.operationCount
            for state in disk.crashStates(afterOperation: end, seed: seed, count: 2) {
                do {
                    _ = try history.check(state, cutAt: end)
                } catch {
                    throw Violation(description: "seed \(seed), sync \(ordinal): \(error)")
                }
            }
            ordinal += 1
        }
        #expect(failures > 30)
    }

    @Test("After a failed sync the same log refuses everything until it is opened again")
    func refusesAfterFailure() throws {
        let disk = SimulatedDisk()
        let calls = FaultyCalls(disk)
        let log = try AuditBench.open(calls)
        try log.append(AuditBench.act(0))
        calls.arm([.init(.syncFile, 1, .fail(5))])
        #expect(throws: VaultError.self) { try log.append(AuditBench.act(1)) }
        for _ in 0..<2 { #expect(throws: VaultError.self) { try log.append(AuditBench.act(2)) } }
        #expect(throws: VaultError.self) { try log.checkpoint() }
        #expect(throws: VaultError.self) { try log.sync() }
    }

    @Test("Every call fails with ENOSPC or EIO, or is cut short: no acknowledged entry is lost, no false torn end")
    func failingCalls() throws {
        for effect in [FaultyCalls.Effect.fail(28), .fail(5), .failAfterwards(5), .short(3), .fail(4)] {
            var ordinal = 1
            var failed = 0
            while true {
                let disk = SimulatedDisk()
                let calls = FaultyCalls(disk)
                var history = History(disk)
                calls.arm([.init(nil, ordinal, effect)])
                do { try history.live(calls) } catch is VaultError { failed += 1 }
                if calls.hits == 0 { break }
                // No power was lost: what is there must be whole, whatever failed.
                let log = try AuditBench.open(disk)
                var runs: [String] = []
                try log.entries(0..<log.size) { entry in
                    #expect(entry.act.operation != "audit.recover", "call \(ordinal), \(effect)")
                    runs.append(entry.act.run)
                }
                #expect(runs.count >= history.acknowledged.last?.count ?? 0, "call \(ordinal), \(effect)")
                #expect(runs == Array(history.asked.prefix(runs.count)), "call \(ordinal), \(effect)")
                #expect(try log.verify().isClean)
                ordinal += AuditBench.isLong ? 1 : 19
            }
            #expect(ordinal > 100)
            if case .short = effect { #expect(failed == 0) }
        }
    }

    @Test("A full disk refuses the act and nothing else; when it has room again the same log goes on")
    func fullDisk() throws {
        let disk = SimulatedDisk()
        let calls = FaultyCalls(disk)
        let log = try AuditBench.open(calls)
        try log.append(AuditBench.act(0))
        for effect in [FaultyCalls.Effect.fail(28), .short(7)] {
            calls.arm([.init(.write, 1, effect), .init(.write, 2, .fail(28))])
            #expect { try log.append(AuditBench.act(1)) } throws: { ($0 as? VaultError)?.code == .noSpace }
            calls.arm([])
        }
        try log.append(AuditBench.act(1))
        #expect(log.size == 2)
        #expect(try log.verify().isClean)
        #expect(disk.names(in: "\(AuditBench.path)/cut").isEmpty)
    }

    @Test("A torn end is kept aside byte for byte, and the entry about it tells its length and hash")
    func tornEnd() throws {
        let place = try AuditBench.Place()
        try AuditBench.makeLog(5, in: place)
        let torn = Array("{\"number\":5,\"ti".utf8) + [UInt8](repeating: 0, count: 600)
        try place.write(AuditBench.Place.segment(0), try place.bytes(AuditBench.Place.segment(0)) + torn)
        let report = try AuditBench.verify(place)
        #expect(report.isClean && report.torn == UInt64(torn.count))
        let reader = try AuditLog.openForReading(directory: place.log, trust: try AuditBench.trust())
        #expect(reader.size == 5)
        let log = try AuditBench.open(LinuxCalls.shared, path: place.log)
        #expect(try place.bytes("cut/5-0") == torn)
        let told = try log.entry(5).act
        #expect(told.operation == "audit.recover" && told.outcome == .partial)
        #expect(told.details.contains(AuditDetail("bytes", "\(torn.count)")))
        #expect(told.details.contains(AuditDetail("sha256", ObjectHasher.digest(of: torn, suite: .hmacSHA256).hex)))
        #expect(try log.verify().isClean && log.size == 6)
    }
}

extension SimulatedDisk {
    /// The names in a directory; empty when it does not exist.
    fileprivate func names(in path: String) -> [String] {
        let descriptor = open(path, in: AT_FDCWD, flags: O_RDONLY | O_DIRECTORY, mode: 0)
        guard descriptor >= 0 else { return [] }
        defer { _ = close(descriptor) }
        var names: [[UInt8]] = []
        while readDirectory(descriptor, into: &names) > 0 {}
        return names.map { String(decoding: $0, as: UTF8.self) }.filter { $0 != "." && $0 != ".." }
    }
}
