import Foundation
import Glibc

/// Numbers that follow from a seed alone, so that a failure can be had again.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

/// A tree of files whose contents follow from their numbers and versions, so that any state of it can be told again.
struct GeneratedTree {
    /// What the tree holds: a version for each file, by its number.
    typealias State = [Int]

    private static let block: Data = {
        var generator = SeededGenerator(seed: 1)
        let words = (0..<1 << 17).map { _ in generator.next() }
        return words.withUnsafeBytes { Data($0) }
    }()

    let root: URL
    /// Every so many files one is large.
    let largeEvery: Int
    private(set) var state: State

    init(at root: URL, files: Int, largeEvery: Int) throws {
        self.root = root
        self.largeEvery = largeEvery
        state = Array(repeating: 0, count: files)
        for directory in 0..<16 {
            try FileManager.default.createDirectory(
                at: root.appending(path: "d\(directory)"), withIntermediateDirectories: true)
        }
        for file in 0..<files { try write(file) }
    }

    private func name(_ file: Int) -> String { "d\(file % 16)/f\(file)" }

    private func content(_ file: Int, _ version: Int) -> Data {
        var generator = SeededGenerator(seed: UInt64(file) << 32 | UInt64(version))
        var data = Data("file \(file) version \(version)\n".utf8)
        let isLarge = file % largeEvery == largeEvery - 1
        var rest = isLarge ? 1_500_000 + file % 7 * 100_000 : Int(generator.next() % 16_000)
        while rest > 0 {
            let start = Int(generator.next() % UInt64(Self.block.count - 70_000))
            let count = min(rest, isLarge ? 70_000 : rest)
            data.append(Self.block[start..<start + count])
            rest -= count
        }
        return data
    }

    private func write(_ file: Int) throws {
        try content(file, state[file]).write(to: root.appending(path: name(file)))
    }

    /// Gives about `share` percent of the files a new version.
    mutating func change(percent share: UInt64, using generator: inout SeededGenerator) throws {
        for file in state.indices where generator.next() % 100 < share {
            state[file] += 1
            try write(file)
        }
    }

    /// The first file below `restored` that is not as `state` says; nil when all are.
    func difference(_ state: State, in restored: URL) -> String? {
        for file in state.indices {
            guard let found = try? Data(contentsOf: restored.appending(path: name(file))) else {
                return "\(name(file)) is missing"
            }
            if found != content(file, state[file]) { return "\(name(file)) is not version \(state[file])" }
        }
        return nil
    }
}
