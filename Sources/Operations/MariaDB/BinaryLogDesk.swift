import Domain

/// The streams of binary logs of the policies in force; of the daemon's work loop.
final class BinaryLogDesk {
    struct Served {
        var policy: String
        var source: MariaDBSource
        var receiver: BinaryLogReceiver
    }

    private let statePath: String
    private(set) var served: [Served] = []

    init(statePath: String) { self.statePath = statePath }

    func stop() {
        for one in served { one.receiver.stop() }
        served = []
    }

    /// What is streamed from now on. Returns what cannot be.
    func serve(_ wanted: [(policy: String, source: MariaDBSource)]) -> [String] {
        var problems: [String] = []
        var made: [Served] = []
        var kept: [Served] = []
        let before = served
        served = []
        for (policy, source) in wanted {
            if let first = made.first(where: { $0.source.name == source.name }) {
                problems.append(
                    "the binary logs of \(source.name) are a source of \(first.policy) and of \(policy): the first counts"
                )
                continue
            }
            if var same = before.first(where: { $0.source == source }) {
                kept.append(same)
                same.policy = policy
                made.append(same)
                continue
            }
            do {
                // Two may not write into one spool.
                before.first { $0.source.name == source.name }?.receiver.stop()
                let spool = try BinaryLogSpool(name: source.name, statePath: statePath)
                let receiver = try BinaryLogReceiver(source, into: spool)
                made.append(Served(policy: policy, source: source, receiver: receiver))
            } catch {
                problems.append("the binary logs of \(source.name) cannot be taken: \(Daemon.words(error))")
            }
        }
        for old in before where !kept.contains(where: { $0.source == old.source }) { old.receiver.stop() }
        served = made
        return problems
    }
}
