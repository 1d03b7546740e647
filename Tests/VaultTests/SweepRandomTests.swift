import Domain
import Glibc
import TestSupport
import Testing

@testable import Vault

/// Two hosts with two sources each, an administrator and a sweeper, who take steps in an order that a seed gives.
///
/// Checking signatures is slow in a build for tests, so each host and the sweeper go on with the log that they have read; a
/// step begins with reading what was appended.
private final class SweepDrama {
    struct Violation: Error, CustomStringConvertible {
        var description: String
    }

    /// What runs for one source of one host.
    private struct Lane {
        var host: Int
        var source: UInt64
        var tree: WorkloadTree
        var session: ArchiveSession?
        var position = 0
    }

    private let world: SweepWorld
    private let store = MemoryStore()
    private var random: SplitMix
    private var lanes: [Lane] = []
    private let watching: WorkloadPlace
    private let watcher: Vault
    private let hosts: [Vault]
    private let unlocked: UnlockedReader
    private(set) var steps: [String] = []
    private(set) var counts: [String: Int] = [:]

    /// Begins with the vault of `template`, which nothing was archived into.
    init(seed: UInt64, _ template: SweepWorld, _ unlocked: UnlockedReader) throws {
        self.unlocked = unlocked
        random = SplitMix(seed: seed)
        store.contents = (template.store as? MemoryStore)?.contents ?? [:]
        world = try SweepWorld(copying: template, store)
        // The sources of a host share content, so that their archives share packs.
        for host in 0..<2 {
            for source in 1...2 {
                var tree = WorkloadTree(seed: UInt64(host), files: 2, fileBytes: 300, chunked: 3_000)
                if source == 2 { tree.change(rewritten: 1) }
                lanes.append(Lane(host: host, source: UInt64(source), tree: tree))
            }
        }
        watching = try WorkloadPlace()
        watcher = try world.made.reopened(nil, watching)
        hosts = [try world.made.reopened(), try world.made.reopened(nil, world.other)]
    }

    private func note(_ step: String, _ detail: String = "") {
        steps.append("\(step) \(detail)")
        counts[step, default: 0] += 1
    }

    /// Takes one step, and reads every live archive back where it changed the log's view of packs or took an object away: other
    /// steps add objects and records that no reader asks for.
    func step() throws {
        do {
            let records = watcher.log.sweepRecords + watcher.log.committed.count
            let objects = Set(store.contents.keys)
            switch Int.random(in: 0..<20, using: &random) {
            case 0..<13: try lane(Int.random(in: 0..<5, using: &random) % lanes.count)
            case 13..<15: try dispose()
            case 15..<18: try sweep()
            default: try fence()
            }
            try watcher.log.refresh()
            let isSame = records == watcher.log.sweepRecords + watcher.log.committed.count
            if !isSame || !objects.isSubset(of: store.contents.keys) { try checkAll() }
        } catch {
            throw Violation(description: "\(error) after \(steps)")
        }
    }

    private func checkAll() throws {
        let reader = VaultReader(vault: watcher, unlocked: unlocked)
        for archive in watcher.log.archives { try world.check(archive, reader) }
    }

    private func lane(_ index: Int) throws {
        guard let session = lanes[index].session else {
            let began = try ArchiveSession(
                vault: hosts[lanes[index].host],
                source: WorkloadVault.source(lanes[index].source), options: SweepWorld.options)
            lanes[index].session = began
            lanes[index].position = 0
            note(began.isResumed ? "resume" : "open", "\(index): \(began.id.hex.prefix(4))")
            return
        }
        let count = lanes[index].tree.items.count
        switch Int.random(in: 0..<8, using: &random) {
        case 0..<5 where lanes[index].position < count:
            let end = min(count, lanes[index].position + Int.random(in: 2...6, using: &random))
            note("absorb", "\(index)")
            try lanes[index].tree.feed(session, lanes[index].position..<end)
            lanes[index].position = end
            guard Bool.random(using: &random) else { return }
            note("checkpoint", "\(index)")
            try unlessFenced(index) { try session.checkpoint() }
        case 5:
            note("drop", "\(index)")
            session.stop()
            lanes[index].session = nil
            if Int.random(in: 0..<3, using: &random) == 0 { lanes[index].tree.change(rewritten: 1) }
        default:
            try lanes[index].tree.feed(session, lanes[index].position..<count)
            lanes[index].position = count
            note("commit", "\(index)")
            world.expect(lanes[index].tree, of: session.id)
            try unlessFenced(index) {
                _ = try session.commit(ArchiveHeader())
                lanes[index].session = nil
                lanes[index].tree.change(rewritten: 1)
            }
            session.stop()
        }
    }

    /// A fenced run ends, and its host goes on with the next.
    private func unlessFenced(_ index: Int, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as VaultError where error.code == .fenced {
            note("fenced", "\(index)")
            lanes[index].session?.stop()
            lanes[index].session = nil
        }
    }

    private func dispose() throws {
        try watcher.log.refresh()
        guard let archive = watcher.log.archives.randomElement(using: &random) else { return }
        note("dispose", "\(archive.id.hex.prefix(4))")
        try Custodian(watcher, by: unlocked).dispose(
            [archive.id], under: archive.id, because: "its time is over")
    }

    /// A sweep, which is now and then interrupted or meets a failing store.
    private func sweep() throws {
        let sweeper = try Sweeper(watcher, by: unlocked)
        var left = Bool.random(using: &random) ? Int.max : Int.random(in: 0..<30, using: &random)
        sweeper.shouldStop = {
            left -= 1
            return left < 0
        }
        do {
            let report = try sweeper.run()
            note("sweep", "\(report.condemnedPacks) \(report.deletedPacks) \(report.revivedPacks)")
            count(report)
            guard report.problems.isEmpty else { throw Violation(description: "\(report.problems)") }
        } catch let error as VaultError where error.code == .interrupted {
            note("interrupt")
        }
    }

    /// Ends one running session, or all whose processes are gone.
    private func fence() throws {
        try watcher.log.refresh()
        let running = watcher.log.sessions.filter { $0.value.ending == .running }.keys.sorted()
        var chosen = Set(running).subtracting(lanes.compactMap(\.session?.id))
        if Int.random(in: 0..<3, using: &random) == 0, let one = running.randomElement(using: &random) {
            chosen = [one]
        }
        guard !chosen.isEmpty else { return }
        let report = try Sweeper(watcher, by: unlocked).run(fencing: chosen)
        note("fence", "\(chosen.map { $0.hex.prefix(4) }) \(report.condemnedPacks) \(report.deletedPacks)")
        count(report)
        guard report.problems.isEmpty else { throw Violation(description: "\(report.problems)") }
    }

    private func count(_ report: SweepReport) {
        if report.deletedPacks > 0 { counts["delete", default: 0] += 1 }
        if report.revivedPacks > 0 { counts["revive", default: 0] += 1 }
    }

    /// Ends everything: all runs are dropped, every session is fenced, two sweeps follow, and the vault must be clean.
    func end() throws {
        for index in lanes.indices {
            lanes[index].session?.stop()
            lanes[index].session = nil
        }
        do {
            try watcher.log.refresh()
            let running = watcher.log.sessions.filter { $0.value.ending == .running }
            for round in 0..<2 {
                let fenced = round == 0 ? Set(running.keys) : []
                let report = try Sweeper(watcher, by: unlocked).run(fencing: fenced)
                guard report.problems.isEmpty, report.waiting.isEmpty else {
                    throw Violation(description: "\(report)")
                }
            }
            try checkAll()
            let damage = try Scrubber(watcher, threads: 1).checkDigests().damage
            guard damage.isEmpty else { throw Violation(description: "\(damage)") }
        } catch {
            throw Violation(description: "\(error) after \(steps)")
        }
    }
}

@Suite("Runs, disposals and sweeps in random order")
struct SweepRandomTests {
    @Test("After every step of every history all live archives read back, and in the end the vault is clean")
    func histories() throws {
        let isLong = getenv("QALA_TEST_LONG") != nil
        let seed = getenv("QALA_TEST_SEED").flatMap { UInt64(String(cString: $0)) } ?? UInt64.random(in: 0...999_999)
        var counts: [String: Int] = [:]
        let steps = ["resume", "commit", "dispose", "delete", "fenced", "interrupt"]
        let histories = isLong ? 3000 : 150
        let template = try SweepWorld(withOther: true)
        let unlocked = try template.made.unlock(try template.made.reopened())
        // A seed may bring few of one kind; then more histories follow.
        var number: UInt64 = 0
        while number < histories || (steps.contains { counts[$0, default: 0] <= 10 } && number < 4 * histories) {
            defer { number += 1 }
            let drama = try SweepDrama(seed: seed &+ number, template, unlocked)
            do {
                for _ in 0..<(isLong ? 60 : 24) { try drama.step() }
                try drama.end()
            } catch {
                Issue.record("seed \(seed &+ number): \(error)")
                return
            }
            counts.merge(drama.counts) { $0 + $1 }
        }
        print("sweep histories: seed \(seed), \(number) of them, \(counts.sorted { $0.key < $1.key })")
        for step in steps {
            #expect(counts[step] ?? 0 > 10, "\(step)")
        }
    }
}
