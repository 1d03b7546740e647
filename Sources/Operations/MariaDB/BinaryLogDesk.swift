import Domain
import Vault

/// The streams of binary logs of the policies in force; of the daemon's work loop.
final class BinaryLogDesk {
    struct Served {
        var policy: String
        var vault: String
        var source: MariaDBSource
        var spool: BinaryLogSpool
        var receiver: BinaryLogReceiver
    }

    private let statePath: String
    private let stopping = InterruptFlag()
    private(set) var served: [Served] = []

    init(statePath: String) { self.statePath = statePath }

    func stop() {
        stopping.set()
        for one in served { one.receiver.stop() }
        served = []
    }

    /// What is streamed from now on. Returns what cannot be.
    func serve(_ wanted: [(policy: String, vault: String, source: MariaDBSource)]) -> [String] {
        var problems: [String] = []
        var made: [Served] = []
        var kept: [Served] = []
        let before = served
        served = []
        for (policy, vault, source) in wanted {
            if let first = made.first(where: { $0.source.name == source.name }) {
                problems.append(
                    "the binary logs of \(source.name) are a source of \(first.policy) and of \(policy): the first counts"
                )
                continue
            }
            if var same = before.first(where: { $0.source == source }) {
                kept.append(same)
                (same.policy, same.vault) = (policy, vault)
                made.append(same)
                continue
            }
            do {
                // Two may not write into one spool.
                before.first { $0.source.name == source.name }?.receiver.stop()
                let spool = try BinaryLogSpool(name: source.name, statePath: statePath)
                let receiver = try BinaryLogReceiver(source, into: spool)
                made.append(
                    Served(policy: policy, vault: vault, source: source, spool: spool, receiver: receiver))
            } catch {
                problems.append("the binary logs of \(source.name) cannot be taken: \(Daemon.words(error))")
            }
        }
        for old in before where !kept.contains(where: { $0.source == old.source }) { old.receiver.stop() }
        served = made
        return problems
    }

    /// What is wrong with the logs of a source; nil when nothing is.
    func trouble(_ one: Served) -> String? {
        let words = openGap(one).map { gap in
            "the binary logs of \(one.source.name) have a gap, found at \(TimeText.seconds(gap.found)): "
                + "no moment behind it can be restored before there is a newer archive of the server"
        }
        let missing = one.spool.missing.map { "the binary log \($0.text)" }
        let aside = (try? one.spool.quarantined()) ?? []
        let told = aside.first.map {
            "\(aside.count) binary logs of \(one.source.name) were damaged in the spool and lie in "
                + "\(one.spool.quarantinePath), first \($0)"
        }
        let all = ([one.receiver.trouble, words, told] + missing).compactMap(\.self)
        return all.isEmpty ? nil : all.joined(separator: "; ")
    }

    /// Closed by a whole copy that was begun behind it. Where the vault cannot be read nothing is known of one.
    private func openGap(_ one: Served) -> BinaryLogSpool.Gap? {
        guard let gap = one.spool.gap else { return nil }
        let workplace = Workplace(vaultPath: one.vault, statePath: statePath, interrupt: stopping)
        let headers = (try? OpenVault(workplace).headers()) ?? []
        let isClosed = headers.contains { _, header in
            guard let header, let started = TimeText.parse(header.started), started >= gap.found else { return false }
            return (header.sources ?? []).contains {
                $0.kind == DataSource.Kind.mariadb.rawValue && $0.name == one.source.name && $0.isWhole
            }
        }
        guard isClosed else { return gap }
        one.spool.closeGap()
        return nil
    }
}
