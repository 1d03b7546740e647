import Domain
import Foundation
import TestSupport
import Testing
import Vault

/// The tree against the text of RFC 6962.
@Suite("Audit: the Merkle tree")
struct AuditMerkleTests {
    static let leaves = [
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    ]
    static let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ]

    /// MTH of §2.1, word for word.
    static func mth(_ hashes: ArraySlice<Digest>) -> Digest {
        guard let first = hashes.first else { return Merkle.empty }
        if hashes.count == 1 { return first }
        var k = 1
        while k * 2 < hashes.count { k *= 2 }
        return Merkle.node(
            mth(hashes[hashes.startIndex..<(hashes.startIndex + k)]), mth(hashes[(hashes.startIndex + k)...]))
    }

    static func some(_ count: Int) -> [Digest] { (0..<count).map { Merkle.leaf(Array("leaf \($0)".utf8)) } }

    static func subtree(_ hashes: [Digest]) -> (Range<UInt64>) throws(Never) -> Digest {
        { range in mth(hashes[Int(range.lowerBound)..<Int(range.upperBound)]) }
    }

    @Test("The eight leaves of Certificate Transparency have their known roots")
    func knownRoots() throws {
        var frontier = MerkleFrontier()
        #expect(frontier.root.hex == Self.roots[0])
        for (leaf, root) in zip(Self.leaves, Self.roots.dropFirst()) {
            frontier.append(Merkle.leaf(try #require(Hex.decode(leaf))))
            #expect(frontier.root.hex == root)
        }
    }

    @Test("A growing tree has the root of the definition at every size, and tells each complete subtree once")
    func frontierGrows() {
        let hashes = Self.some(260)
        var frontier = MerkleFrontier()
        for (at, leaf) in hashes.enumerated() {
            var told: [Int] = []
            frontier.append(leaf) { level, index, hash in
                told.append(level)
                let (from, to) = (Int(index) << level, (Int(index) + 1) << level)
                #expect(to == at + 1)
                #expect(hash == Self.mth(hashes[from..<to]))
            }
            #expect(told == Array(0...(at + 1).trailingZeroBitCount))
            #expect(frontier.root == Self.mth(hashes[...at]))
        }
    }

    @Test("Inclusion proofs hold for every entry of every size, and for nothing else")
    func inclusion() {
        let hashes = Self.some(40)
        for size in 1...40 {
            let root = Self.mth(hashes[..<size])
            for number in 0..<size {
                let path = Merkle.inclusion(of: UInt64(number), in: UInt64(size), Self.subtree(hashes))
                func holds(
                    _ leaf: Int, _ at: Int, _ size: Int, _ path: [Digest], _ root: Digest
                ) -> Bool {
                    Merkle.verifyInclusion(
                        of: hashes[leaf], at: UInt64(at), size: UInt64(size), path: path, root: root)
                }
                #expect(holds(number, number, size, path, root))
                #expect(!holds((number + 1) % 40, number, size, path, root))
                #expect(!holds(number, number, size, path + [root], root))
                #expect(!holds(number, number, size, path.dropLast(), root) || path.isEmpty)
                #expect(!holds(number, size, size, path, root))
                #expect(size == 1 || !holds(number, (number + 1) % size, size, path, root))
                for at in path.indices {
                    var bad = path
                    bad[at] = hashes[39]
                    #expect(!holds(number, number, size, bad, root) || path[at] == hashes[39])
                }
            }
        }
    }

    @Test("Consistency proofs hold between every two sizes, and for nothing else")
    func consistency() {
        let hashes = Self.some(34)
        for size in 0...34 {
            let root = Self.mth(hashes[..<size])
            for old in 0...size {
                let oldRoot = Self.mth(hashes[..<old])
                let path = Merkle.consistency(from: UInt64(old), to: UInt64(size), Self.subtree(hashes))
                func holds(_ old: Int, _ oldRoot: Digest, _ path: [Digest], _ root: Digest) -> Bool {
                    Merkle.verifyConsistency(from: UInt64(old), oldRoot, to: UInt64(size), root, path: path)
                }
                #expect(holds(old, oldRoot, path, root))
                #expect(!holds(old, hashes[0], path, root) || oldRoot == hashes[0])
                #expect(!holds(old, oldRoot, path + [root], root))
                if old > 0 { #expect(!holds(old, oldRoot, path, hashes[33])) }
                if old > 0, old < size {
                    #expect(!holds(old, oldRoot, path.dropLast(), root))
                    #expect(!holds(size + 1, oldRoot, path, root))
                    for at in path.indices {
                        var bad = path
                        bad[at] = Merkle.empty
                        #expect(!holds(old, oldRoot, bad, root))
                    }
                }
            }
        }
    }

    @Test("Range proofs hold for every range of every size; too few, too many or other hashes do not")
    func ranges() {
        let hashes = Self.some(20)
        for size in 1...20 {
            let root = Self.mth(hashes[..<size])
            for low in 0..<size {
                for high in (low + 1)...size {
                    let range = UInt64(low)..<UInt64(high)
                    let proof = Merkle.range(range, in: UInt64(size), Self.subtree(hashes))
                    func rebuilt(_ proof: [Digest]) -> Digest? {
                        var next = low
                        return Merkle.root(of: UInt64(size), range: range, proof: proof) { () throws(Never) in
                            next += 1
                            return hashes[next - 1]
                        }
                    }
                    #expect(rebuilt(proof) == root)
                    #expect(rebuilt(proof + [root]) == nil)
                    if !proof.isEmpty {
                        #expect(rebuilt(proof.dropLast()) == nil)
                        #expect(rebuilt([Merkle.empty] + proof.dropFirst()) != root)
                    }
                }
            }
        }
    }

    @Test(
        "Roots, audit paths and consistency proofs are those that Python computes from the text of the RFC",
        .enabled(if: AuditBench.hasPython, "scripts/setup installs Python's cryptography"))
    func python() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SplitMix(seed: seed)
        var lines: [String] = []
        for _ in 0..<60 {
            let size = Int.random(in: 1...300, using: &random)
            let number = Int.random(in: 0..<size, using: &random)
            let leaves = (0..<size).map { Array("\(seed)/\($0)".utf8) }
            let hashes = leaves.map { Merkle.leaf($0) }
            let (old, end) = (UInt64(number), UInt64(size))
            let path = Merkle.inclusion(of: old, in: end, Self.subtree(hashes))
            let proof = Merkle.consistency(from: old, to: end, Self.subtree(hashes))
            var frontier = MerkleFrontier()
            for hash in hashes { frontier.append(hash) }
            lines.append(
                "\(seed) \(size) \(number) \(frontier.root.hex) "
                    + "\(path.map(\.hex).joined(separator: ",")) \(proof.map(\.hex).joined(separator: ","))")
        }
        let (status, said) = try AuditBench.python(["-c", Self.program, lines.joined(separator: "\n")])
        #expect(status == 0, "seed \(seed): \(said)")
        #expect(said == "60 trees agree\n", "seed \(seed)")
    }

    private static let program = """
        import hashlib, sys
        h = lambda b: hashlib.sha256(b).digest()
        def k(n):
            p = 1
            while 2 * p < n: p *= 2
            return p
        def mth(d):
            if not d: return h(b"")
            if len(d) == 1: return h(b"\\0" + d[0])
            return h(b"\\1" + mth(d[:k(len(d))]) + mth(d[k(len(d)):]))
        def path(m, d):
            n = len(d)
            if n == 1: return []
            if m < k(n): return path(m, d[:k(n)]) + [mth(d[k(n):])]
            return path(m - k(n), d[k(n):]) + [mth(d[:k(n)])]
        def sub(m, d, b):
            n = len(d)
            if m == n: return [] if b else [mth(d)]
            if m <= k(n): return sub(m, d[:k(n)], b) + [mth(d[k(n):])]
            return sub(m - k(n), d[k(n):], False) + [mth(d[:k(n)])]
        count = 0
        for line in sys.argv[1].split("\\n"):
            seed, size, number, root, inclusion, consistency = line.split(" ")
            leaves = [f"{seed}/{i}".encode() for i in range(int(size))]
            hexes = lambda hashes: ",".join(x.hex() for x in hashes)
            assert mth(leaves).hex() == root, line
            assert hexes(path(int(number), leaves)) == inclusion, line
            assert int(number) == 0 or hexes(sub(int(number), leaves, True)) == consistency, line
            count += 1
        print(count, "trees agree")
        """
}
