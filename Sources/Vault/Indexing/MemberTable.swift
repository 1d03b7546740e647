import Domain

/// An open-addressing table of the newest members of an index, of fixed size: 40 bytes a slot, no allocation on insert. Ids are
/// keyed hashes, so their own bits spread them.
struct MemberTable {
    private static let slotCount = 1 << 18
    /// Filled to three quarters; then its owner empties it.
    static let capacity = slotCount / 4 * 3

    private struct Slot {
        var id: Digest
        /// Number of the group plus one; 0 marks a free slot.
        var group: UInt32
        var index: UInt32
    }

    private var slots: [Slot] = []
    private(set) var count = 0
    private(set) var groups: [ChunkHandle] = []

    var isFull: Bool { count >= Self.capacity }

    private static func home(_ id: Digest) -> Int { Int(truncatingIfNeeded: id.words.3) & (slotCount - 1) }

    func find(_ id: Digest) -> (group: ChunkHandle, index: Int)? {
        guard !slots.isEmpty else { return nil }
        var at = Self.home(id)
        while slots[at].group != 0 {
            if slots[at].id == id { return (groups[Int(slots[at].group) - 1], Int(slots[at].index)) }
            at = (at + 1) & (Self.slotCount - 1)
        }
        return nil
    }

    /// The table must not be full. An id that is there already keeps its place.
    mutating func insert(_ id: Digest, group: ChunkHandle, index: Int) {
        precondition(!isFull, "the member table is full")
        if slots.isEmpty {
            slots = Array(repeating: Slot(id: .zero, group: 0, index: 0), count: Self.slotCount)
        }
        if groups.last != group { groups.append(group) }
        var at = Self.home(id)
        while slots[at].group != 0 {
            if slots[at].id == id { return }
            at = (at + 1) & (Self.slotCount - 1)
        }
        slots[at] = Slot(id: id, group: UInt32(groups.count), index: UInt32(index))
        count += 1
    }

    /// Hands out every entry and empties the table; entries for which `body` returns false come back into it.
    mutating func drain(_ body: (Digest, ChunkHandle, Int) -> Bool) {
        var kept: [(Digest, ChunkHandle, Int)] = []
        for at in slots.indices where slots[at].group != 0 {
            let slot = slots[at]
            let group = groups[Int(slot.group) - 1]
            if !body(slot.id, group, Int(slot.index)) { kept.append((slot.id, group, Int(slot.index))) }
            slots[at].group = 0
        }
        count = 0
        groups = []
        for (id, group, index) in kept { insert(id, group: group, index: index) }
    }
}
