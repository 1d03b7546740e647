import Domain
import Yams

/// `postgresql-wal: NAME`: the log of a PostgreSQL cluster.
extension PolicyReader {
    static let walKeys = [
        "postgresql-wal", "user", "acknowledge", "batch-segments", "batch-time", "incarnation", "slot", "socket",
        "heartbeat",
    ]

    mutating func readWAL(_ node: Node) -> WALSource? {
        guard let (name, values) = dataValues(node, .wal, allowed: Self.walKeys) else { return nil }
        var source = WALSource(name: name)
        if let user = values["user"].flatMap({ nodes.id($0, named: "user") }) { source.user = user }
        if let node = values["acknowledge"] {
            let choice = nodes.choice(node, named: "acknowledge", of: WALSource.Acknowledgement.self)
            source.acknowledge = choice ?? source.acknowledge
        }
        if let node = values["batch-segments"] {
            let count = nodes.number(node, named: "batch-segments", in: WALSource.batchSegments)
            source.batchSegments = count ?? source.batchSegments
        }
        if let node = values["batch-time"] {
            let time = nodes.fixedPeriod(node, named: "batch-time", atMost: WALSource.longestBatchTime)
            source.batchTime = time ?? source.batchTime
        }
        if let node = values["incarnation"] {
            let number = nodes.number(node, named: "incarnation", in: WALCluster.incarnations)
            source.incarnation = number ?? source.incarnation
        }
        if let node = values["slot"], let slot = nodes.text(node, named: "slot") {
            if WALSource.isSlotName(slot) { source.slot = slot } else { nodes.note(node, .badName(nodes.shown(slot))) }
        }
        if let node = values["heartbeat"] { source.heartbeat = nodes.text(node, named: "heartbeat") }
        if let path = values["socket"].flatMap({ readPath($0, named: "socket") }) { source.socket = path }
        return source
    }
}
