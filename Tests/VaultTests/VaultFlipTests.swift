import Domain
import Glibc
import TestSupport
import Testing
@testable import Vault

@Suite("Every byte of a small vault flipped")
struct VaultFlipTests {
    /// A vault of two archives, the second incremental.
    private struct Bench {
        let store = MemoryStore()
        let made: WorkloadVault
        let clean: [String: [UInt8]]
        var trees: [Digest: WorkloadTree] = [:]

        init() throws {
            made = try WorkloadVault(store)
            var tree = WorkloadTree(seed: 3, files: 4, fileBytes: 100, chunked: 1_500)
            for _ in 0..<2 {
                let vault = try made.reopened()
                var options = WorkloadTree.options
                options.sealingThreads = 1
                let archive = try tree.archive(into: vault, source: WorkloadVault.source(1), options: options)
                trees[archive.id] = tree
                tree.change(rewritten: 1)
            }
            clean = store.contents
        }

        /// The state base of a host that never saw this vault, so that no memory of this one hides damage.
        func stranger() throws -> WorkloadPlace { try WorkloadPlace() }
    }

    private static func isChain(_ name: String) -> Bool { name == "vault.json" || name.hasPrefix("log/") }

    /// One bit, all bits, or two neighbours; never none.
    private static func mask(_ position: Int) -> UInt8 { [1, 0xFF, 0x80, 0x10, 3][position % 5] }

    @Test("The vault is small, and every object of it counts")
    func shape() throws {
        let bench = try Bench()
        let bytes = bench.clean.values.reduce(0) { $0 + $1.count }
        #expect(bytes <= 64 << 10)
        let vault = try bench.made.reopened()
        let result = try Scrubber(vault).checkDigests()
        #expect(result.damage.isEmpty)
        #expect(result.objects + Int(vault.log.count) + 1 == bench.clean.count)
    }

    @Test("A flipped byte in an object is found without keys, wherever it is")
    func objects() throws {
        let bench = try Bench()
        let place = try bench.stranger()
        let vault = try bench.made.reopened(nil, place)
        // The manifests are read while they are whole, so that what they name is looked for when they are not.
        #expect(try Scrubber(vault).checkDigests().damage.isEmpty)
        let checked = bench.clean.keys.filter { !Self.isChain($0) }
        let longest = checked.compactMap { bench.clean[$0]?.count }.max() ?? 0
        // One byte of every object at a time: the report must name each of them.
        for position in 0..<longest {
            var spoiled = bench.clean
            var expected: Set<String> = []
            for name in checked {
                guard let count = spoiled[name]?.count, position < count else { continue }
                spoiled[name]?[position] ^= Self.mask(position)
                expected.insert(name)
            }
            bench.store.contents = spoiled
            let found = try Scrubber(vault).checkDigests().damage.map(\.object)
            guard Set(found) == expected else {
                Issue.record("byte \(position): \(expected.subtracting(found)) not found")
                return
            }
        }
        #expect(longest > 4000)
    }

    @Test("A flipped byte in the genesis or the log fails the opening, wherever it is")
    func chain() throws {
        let bench = try Bench()
        let place = try bench.stranger()
        var opened = 0
        for name in bench.clean.keys.filter(Self.isChain).sorted() {
            for position in 0..<(bench.clean[name]?.count ?? 0) {
                var spoiled = bench.clean
                spoiled[name]?[position] ^= Self.mask(position)
                bench.store.contents = spoiled
                if (try? VaultLog(store: bench.store)) != nil {
                    Issue.record("byte \(position) of \(name)")
                    opened += 1
                }
            }
        }
        #expect(opened == 0)
        bench.store.contents = bench.clean
        _ = try bench.made.reopened(nil, place)
    }

    @Test("With any byte flipped a restore fails or gives the right bytes, never wrong ones")
    func restores() throws {
        let isLong = getenv("QALA_TEST_LONG") != nil
        let bench = try Bench()
        var tally = Tally()
        for name in bench.clean.keys.filter({ !Self.isChain($0) }).sorted() {
            let count = bench.clean[name]?.count ?? 0
            for position in stride(from: 0, to: count, by: isLong ? 1 : 32) {
                bench.store.contents[name]?[position] ^= Self.mask(position)
                tally.add(outcome { try reopenAndRestore(bench) }, "byte \(position) of \(name)")
                bench.store.contents[name] = bench.clean[name]
            }
        }
        print("flipped restores from the start: \(tally.failed) failed, \(tally.right) right")
        #expect(tally.wrong.isEmpty)
        #expect(tally.failed > 50)
        #expect(tally.right > 10)
    }

    @Test("With any byte of a pack flipped under an open vault no wrong byte is restored")
    func packs() throws {
        let bench = try Bench()
        let faulty = FaultyStore(bench.store)
        let place = try bench.stranger()
        let vault = try bench.made.reopened(faulty, place)
        let reader = try bench.made.reader(vault)
        // Keys and headers of packs are known from here on; each record is read from the store every time.
        try restore(bench, vault, reader)
        var tally = Tally()
        for name in bench.clean.keys.filter({ $0.hasPrefix("packs/") }).sorted() {
            for position in 0..<(bench.clean[name]?.count ?? 0) {
                faulty.flip(name, at: UInt64(position), mask: Self.mask(position))
                tally.add(outcome { try restore(bench, vault, reader) }, "byte \(position) of \(name)")
                faulty.heal()
            }
        }
        print("flipped restores: \(tally.failed) failed, \(tally.right) right")
        #expect(tally.wrong.isEmpty)
        #expect(tally.failed > 1500)
        withExtendedLifetime(place) {}
    }

    private enum Outcome { case right, failed, wrong(any Error) }

    private struct Tally {
        var right = 0
        var failed = 0
        var wrong: [String] = []

        mutating func add(_ outcome: Outcome, _ what: String) {
            switch outcome {
            case .right: right += 1
            case .failed: failed += 1
            case .wrong(let error): wrong.append("\(what): \(error)")
            }
        }
    }

    private func outcome(_ body: () throws -> Void) -> Outcome {
        do {
            try body()
            return .right
        } catch is VaultError {
            return .failed
        } catch {
            return .wrong(error)
        }
    }

    private func reopenAndRestore(_ bench: Bench) throws {
        let place = try bench.stranger()
        defer { withExtendedLifetime(place) {} }
        let vault = try bench.made.reopened(nil, place)
        try restore(bench, vault, try bench.made.reader(vault))
    }

    /// Every archive: one that fails does not keep the others from giving wrong bytes.
    private func restore(_ bench: Bench, _ vault: Vault, _ reader: VaultReader) throws {
        var failure: VaultError?
        for archive in vault.log.archives {
            do {
                try bench.trees[archive.id]?.check(archive, reader)
            } catch let error as VaultError {
                failure = error
            }
        }
        if let failure { throw failure }
    }
}
