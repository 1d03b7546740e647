import Domain
import TestSupport
import Testing

@testable import Operations

@Suite("What goes beside what in the daemon")
struct LaneTests {
    private func policy(_ name: String, _ data: [DataSource], files: Bool = false) -> Policy {
        let sources = files ? [FileSource(path: "/srv", excludes: [], oneFileSystem: false, excludeCaches: false)] : []
        var policy = Policy(
            name: name, component: .database, responsiblePerson: Person(name: "A"), sources: sources)
        policy.data = data
        return policy
    }

    private func streamed(_ name: String) -> DataSource {
        var source = MariaDBSource(name: name)
        source.replicaID = 7
        return .mariadbLogs(source)
    }

    private func next(_ waiting: [Policy], beside going: [Policy]) -> String? {
        Lane.next(
            of: waiting.map { (id: $0.name, policy: Optional($0)) }, beside: going.map { (lane: $0.lane, policy: $0) })
    }

    @Test("Only what has nothing but streams goes beside what may take long")
    func lanes() {
        #expect(policy("a", [.wal(WALSource(name: "main"))]).lane == .ofStreams)
        #expect(policy("a", [.wal(WALSource(name: "main")), streamed("main")]).lane == .ofStreams)
        #expect(policy("a", [.mariadbLogs(MariaDBSource(name: "main"))]).lane == .ofPolicies, "read by runs")
        #expect(policy("a", [.wal(WALSource(name: "main"))], files: true).lane == .ofPolicies)
        #expect(policy("a", [.mariadb(MariaDBSource(name: "main")), streamed("main")]).lane == .ofPolicies)
        #expect(policy("a", [], files: true).lane == .ofPolicies)
    }

    @Test("A run of WAL goes beside a long one, also of the cluster; never beside one of its policy or its source")
    func beside() {
        let files = policy("files", [], files: true)
        let more = policy("more", [], files: true)
        let wal = policy("wal", [.wal(WALSource(name: "main"))])
        let other = policy("other", [.wal(WALSource(name: "main"))], files: true)
        let cluster = policy("cluster", [.mariadb(MariaDBSource(name: "main"))])
        let logs = policy("logs", [streamed("main")])
        #expect(next([more, wal], beside: [files]) == "wal")
        #expect(next([more, files], beside: [files]) == nil)
        #expect(next([logs], beside: [cluster]) == "logs")
        #expect(next([logs], beside: [wal]) == nil, "the lane is taken")
        #expect(next([files, logs], beside: [wal]) == "files")
        #expect(next([wal], beside: [other]) == nil && next([other], beside: [wal]) == nil)
        // What became another policy of the same name meanwhile.
        #expect(next([policy("wal", [], files: true)], beside: [wal]) == nil)
        // Who was asked for first is not overtaken, but by what has nothing to do with it.
        #expect(next([other, wal], beside: [files]) == nil)
        #expect(next([other, wal, logs], beside: [files]) == nil, "in a lane the order stays")
        #expect(next([other, logs, wal], beside: [files]) == "logs")
        #expect(Lane.next(of: [(id: "gone", policy: nil)], beside: [(lane: wal.lane, policy: wal)]) == "gone")
        #expect(Lane.next(of: [(id: "gone", policy: nil)], beside: [(lane: files.lane, policy: files)]) == nil)
    }

    @Test("Whatever is asked for goes in the end, at most one of a lane, of a policy and of a source at a time")
    func whatever() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SplitMix(seed: seed)
        let sources = ["a", "b", "c"].map { DataSource.wal(WALSource(name: $0)) }
        let all = (0..<6).map { number in
            policy("p\(number)", sources.filter { _ in Bool.random(using: &random) }, files: number % 2 == 0)
        }.filter { !$0.data.isEmpty || !$0.sources.isEmpty }
        var waiting: [(id: String, policy: Policy)] = []
        var going: [(id: String, policy: Policy)] = []
        var asked = 0
        var ended = 0
        for step in 0..<4000 {
            if step < 2000, waiting.count < 20, let chosen = all.randomElement(using: &random) {
                waiting.append(("\(asked)", chosen))
                asked += 1
            }
            while let id = Lane.next(
                of: waiting.map { (id: $0.id, policy: Optional($0.policy)) },
                beside: going.map { (lane: $0.policy.lane, policy: $0.policy) })
            {
                let at = try #require(waiting.firstIndex { $0.id == id }, "seed \(seed)")
                let chosen = waiting.remove(at: at)
                for earlier in waiting[..<at] {
                    #expect(earlier.policy.lane != chosen.policy.lane, "seed \(seed)")
                    #expect(earlier.policy.isApart(from: chosen.policy), "seed \(seed)")
                }
                for one in going {
                    #expect(one.policy.lane != chosen.policy.lane, "seed \(seed)")
                    #expect(one.policy.isApart(from: chosen.policy), "seed \(seed)")
                }
                going.append(chosen)
            }
            #expect(waiting.isEmpty || !going.isEmpty, "nothing goes though something waits, seed \(seed)")
            if !going.isEmpty, Bool.random(using: &random) {
                going.remove(at: Int.random(in: 0..<going.count, using: &random))
                ended += 1
            }
        }
        #expect(waiting.isEmpty && ended + going.count == asked && asked > 500, "seed \(seed)")
    }
}
