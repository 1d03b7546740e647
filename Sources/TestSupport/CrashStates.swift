import Synchronization

extension SimulatedDisk {
    /// Bytes that a disk writes as one.
    static let sectorBytes = 512

    /// Disks as a power cut after the first `operation` changes may leave them, ready to be opened again.
    ///
    /// The first two are the extremes, everything unsynced kept and everything unsynced lost; the others are drawn from
    /// `seed`. Locks and open files are gone. `traits` are those of the new disks.
    package func crashStates(
        afterOperation operation: Int, seed: UInt64, count: Int, traits: Traits = Traits()
    ) -> [SimulatedDisk] {
        let (base, changes) = state.withLock { ($0.base, Array($0.changes.prefix(operation))) }
        let cut = PowerCut(base: base, changes: changes)
        var random = SplitMix(seed: seed ^ (UInt64(operation) &* 0x9E37_79B9))
        return (0..<count).map { index in
            let fate: PowerCut.Fate = index == 0 ? .kept : index == 1 ? .lost : .drawn
            let nodes = cut.nodes(fate, &random)
            return SimulatedDisk(nodes, traits: traits, seed: random.next())
        }
    }
}

/// What is durable for certain after some changes, and what hangs in the air.
private struct PowerCut {
    enum Fate {
        case kept, lost, drawn
    }

    private var durable: [Int: SimulatedDisk.Node]
    private var pending: [Int: [SimulatedDisk.Change]] = [:]

    init(base: [Int: SimulatedDisk.Node], changes: [SimulatedDisk.Change]) {
        durable = base
        for change in changes {
            switch change {
            case .made(let inode, let isDirectory):
                durable[inode] = SimulatedDisk.Node(isDirectory: isDirectory)
            case .write(let inode, _, _), .truncate(let inode, _): pending[inode, default: []].append(change)
            case .enter(let directory, _, _), .remove(let directory, _):
                pending[directory, default: []].append(change)
            case .sync(let inode):
                for settled in pending.removeValue(forKey: inode) ?? [] { durable[inode]?.settle(settled) }
            case .failedSync(let inode): pending[inode] = nil
            }
        }
    }

    /// The nodes that can still be reached, with fresh link counts.
    func nodes(_ fate: Fate, _ random: inout SplitMix) -> [Int: SimulatedDisk.Node] {
        var nodes = durable
        for inode in pending.keys.sorted() {
            for change in pending[inode] ?? [] {
                switch fate {
                case .kept: nodes[inode]?.settle(change)
                case .lost: break
                case .drawn: nodes[inode]?.draw(change, &random)
                }
            }
        }
        var reached: [Int: SimulatedDisk.Node] = [:]
        var waiting = [SimulatedDisk.rootInode]
        while let inode = waiting.popLast() {
            if reached[inode] != nil {
                reached[inode]?.links += 1
                continue
            }
            guard var node = nodes[inode] else { continue }
            node.links = 1
            reached[inode] = node
            waiting += node.entries.values
        }
        return reached
    }
}

extension SimulatedDisk.Node {
    mutating func settle(_ change: SimulatedDisk.Change) {
        switch change {
        case .write(_, let offset, let bytes): data.place(bytes, at: offset)
        case .truncate(_, let length): data.cut(to: length)
        case .enter(_, let name, let inode): entries[name] = inode
        case .remove(_, let name): entries[name] = nil
        case .made, .sync, .failedSync: break
        }
    }

    /// Lets chance decide about an unsynced change.
    mutating func draw(_ change: SimulatedDisk.Change, _ random: inout SplitMix) {
        guard case .write(_, let offset, let bytes) = change else {
            if Bool.random(using: &random) { settle(change) }
            return
        }
        switch UInt8.random(in: 0..<4, using: &random) {
        case 0: settle(change)
        case 1: break
        case 2:
            // The length arrived, the bytes did not.
            data.cut(to: max(data.count, offset + bytes.count))
        default:
            data.cut(to: max(data.count, offset + bytes.count))
            for start in stride(from: 0, to: bytes.count, by: SimulatedDisk.sectorBytes)
            where Bool.random(using: &random) {
                data.place(bytes[start..<min(start + SimulatedDisk.sectorBytes, bytes.count)], at: offset + start)
            }
        }
    }
}
