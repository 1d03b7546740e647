import COpenSSL
package import Domain

/// The tree of RFC 6962 §2.1 over SHA-256.
package enum Merkle {
    /// The root of no leaves.
    package static let empty = ObjectHasher.digest(of: [], suite: .hmacSHA256)

    package static func leaf(_ bytes: [UInt8]) -> Digest {
        withUnsafeTemporaryAllocation(byteCount: bytes.count + 1, alignment: 1) { buffer in
            buffer[0] = 0
            UnsafeMutableRawBufferPointer(rebasing: buffer[1...]).copyBytes(from: bytes)
            return ObjectHasher.digest(of: UnsafeRawBufferPointer(buffer), suite: .hmacSHA256)
        }
    }

    package static func node(_ left: Digest, _ right: Digest) -> Digest {
        withUnsafeTemporaryAllocation(byteCount: 65, alignment: 1) { buffer in
            buffer[0] = 1
            left.store(to: UnsafeMutableRawBufferPointer(rebasing: buffer[1...]))
            right.store(to: UnsafeMutableRawBufferPointer(rebasing: buffer[33...]))
            return ObjectHasher.digest(of: UnsafeRawBufferPointer(buffer), suite: .hmacSHA256)
        }
    }

    /// Where a tree of `count` leaves splits: the largest power of two below; `count` is at least 2.
    static func split(_ count: UInt64) -> UInt64 { 1 << UInt64(63 - (count - 1).leadingZeroBitCount) }

    /// The hash of the tree over leaves lo..<hi, as every function here needs it.
    package typealias Subtree<E: Error> = (Range<UInt64>) throws(E) -> Digest

    /// The audit path of §2.1.1, leaf to root.
    package static func inclusion<E: Error>(
        of number: UInt64, in size: UInt64, _ subtree: Subtree<E>
    ) throws(E) -> [Digest] {
        precondition(number < size)
        var path: [Digest] = []
        var range = 0..<size
        while range.upperBound - range.lowerBound > 1 {
            let middle = range.lowerBound + split(range.upperBound - range.lowerBound)
            if number < middle {
                path.append(try subtree(middle..<range.upperBound))
                range = range.lowerBound..<middle
            } else {
                path.append(try subtree(range.lowerBound..<middle))
                range = middle..<range.upperBound
            }
        }
        return path.reversed()
    }

    package static func verifyInclusion(
        of leaf: Digest, at number: UInt64, size: UInt64, path: [Digest], root: Digest
    ) -> Bool {
        guard number < size else { return false }
        var (position, last) = (number, size - 1)
        var hash = leaf
        for sibling in path {
            if last == 0 { return false }
            if position & 1 == 1 || position == last {
                hash = node(sibling, hash)
                while position & 1 == 0, position != 0 {
                    position >>= 1
                    last >>= 1
                }
            } else {
                hash = node(hash, sibling)
            }
            position >>= 1
            last >>= 1
        }
        return last == 0 && hash == root
    }

    /// The proof of §2.1.2 that the tree of `old` leaves is the beginning of that of `size`.
    package static func consistency<E: Error>(
        from old: UInt64, to size: UInt64, _ subtree: Subtree<E>
    ) throws(E) -> [Digest] {
        precondition(old <= size)
        if old == 0 || old == size { return [] }
        var path: [Digest] = []
        var range = 0..<size
        var isWhole = true
        while old != range.upperBound {
            let middle = range.lowerBound + split(range.upperBound - range.lowerBound)
            if old <= middle {
                path.append(try subtree(middle..<range.upperBound))
                range = range.lowerBound..<middle
            } else {
                path.append(try subtree(range.lowerBound..<middle))
                range = middle..<range.upperBound
                isWhole = false
            }
        }
        if !isWhole { path.append(try subtree(range)) }
        return path.reversed()
    }

    package static func verifyConsistency(
        from old: UInt64, _ oldRoot: Digest, to size: UInt64, _ root: Digest, path: [Digest]
    ) -> Bool {
        if old == 0 { return path.isEmpty && oldRoot == empty }
        if old == size { return path.isEmpty && oldRoot == root }
        guard old < size else { return false }
        // Where the old tree is one complete subtree, its root is the first hash and left out.
        var path = old & (old - 1) == 0 ? [oldRoot] + path : path
        guard !path.isEmpty else { return false }
        var (position, last) = (old - 1, size - 1)
        while position & 1 == 1 {
            position >>= 1
            last >>= 1
        }
        var small = path.removeFirst()
        var large = small
        for hash in path {
            if last == 0 { return false }
            if position & 1 == 1 || position == last {
                small = node(hash, small)
                large = node(hash, large)
                while position & 1 == 0, position != 0 {
                    position >>= 1
                    last >>= 1
                }
            } else {
                large = node(large, hash)
            }
            position >>= 1
            last >>= 1
        }
        return last == 0 && small == oldRoot && large == root
    }

    /// The hashes of the subtrees beside `wanted`, left to right (`docs/audit.md` §3).
    package static func range<E: Error>(
        _ wanted: Range<UInt64>, in size: UInt64, _ subtree: Subtree<E>
    ) throws(E) -> [Digest] {
        var proof: [Digest] = []
        var waiting = [0..<size]
        while let range = waiting.popLast() {
            if !range.overlaps(wanted) {
                proof.append(try subtree(range))
            } else if range.lowerBound < wanted.lowerBound || range.upperBound > wanted.upperBound {
                let middle = range.lowerBound + split(range.upperBound - range.lowerBound)
                waiting += [middle..<range.upperBound, range.lowerBound..<middle]
            }
        }
        return proof
    }

    /// The root that a range proof and the leaves of its range, asked for one after the other, lead to. Nil when the
    /// proof has too few or too many hashes. `wanted` is not empty and lies within `size`.
    package static func root<E: Error>(
        of size: UInt64, range wanted: Range<UInt64>, proof: [Digest], nextLeaf: () throws(E) -> Digest
    ) throws(E) -> Digest? {
        var proof = proof[...]
        let root = try root(of: 0..<size, wanted, &proof, nextLeaf)
        return proof.isEmpty ? root : nil
    }

    /// Goes as deep as the tree is high, at most 48.
    private static func root<E: Error>(
        of range: Range<UInt64>, _ wanted: Range<UInt64>, _ proof: inout ArraySlice<Digest>,
        _ nextLeaf: () throws(E) -> Digest
    ) throws(E) -> Digest? {
        if !range.overlaps(wanted) { return proof.popFirst() }
        if range.upperBound - range.lowerBound == 1 { return try nextLeaf() }
        let middle = range.lowerBound + split(range.upperBound - range.lowerBound)
        guard let left = try root(of: range.lowerBound..<middle, wanted, &proof, nextLeaf),
            let right = try root(of: middle..<range.upperBound, wanted, &proof, nextLeaf)
        else { return nil }
        return node(left, right)
    }
}

/// The right edge of a growing tree: the roots of its complete subtrees, largest first. At most 48 hashes.
package struct MerkleFrontier: Sendable, Hashable {
    package private(set) var size: UInt64 = 0
    private var peaks: [Digest] = []

    package init() {}

    /// The state of a tree that is one complete subtree.
    init(powerOfTwo size: UInt64, root: Digest) {
        precondition(size.nonzeroBitCount == 1)
        self.size = size
        peaks = [root]
    }

    /// `subtree` tells the hashes of the complete subtrees.
    init<E: Error>(size: UInt64, _ subtree: Merkle.Subtree<E>) throws(E) {
        self.size = size
        var start: UInt64 = 0
        for bit in (0..<64 as Range<UInt64>).reversed() where size & (1 << bit) != 0 {
            peaks.append(try subtree(start..<(start + 1 << bit)))
            start += 1 << bit
        }
    }

    /// `completed` hears of every subtree of 2^level leaves that this leaf, itself included, completes.
    package mutating func append(_ leaf: Digest, _ completed: (_ level: Int, _ index: UInt64, _ hash: Digest) -> Void) {
        var (hash, level, index) = (leaf, 0, size)
        completed(0, index, hash)
        while index & 1 == 1, let left = peaks.popLast() {
            hash = Merkle.node(left, hash)
            level += 1
            index >>= 1
            completed(level, index, hash)
        }
        peaks.append(hash)
        size += 1
    }

    package mutating func append(_ leaf: Digest) { append(leaf) { _, _, _ in } }

    package var root: Digest {
        guard var root = peaks.last else { return Merkle.empty }
        for left in peaks.dropLast().reversed() { root = Merkle.node(left, root) }
        return root
    }
}
