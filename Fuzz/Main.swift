// Fuzzing of every decoder of stored or foreign bytes; built and run by `scripts/fuzz`.
//
// Invariants:
// 1. A decoder may refuse its input by throwing; it never traps, hangs, or takes memory out of proportion to the input.
// 2. What it accepts has one encoding: where there is an encoder, encoding again gives the same bytes (`expect`).
// 3. Targets are chosen by name, so that one build serves all of them, and share no state between inputs.

import Glibc

/// One decoder, or a group of them that reads the same bytes.
struct Target: Sendable {
    var name: String
    var run: @Sendable ([UInt8]) -> Void
    /// Well-formed inputs to begin with; more live in the corpus.
    var seeds: @Sendable () -> [[UInt8]]
}

private let targets =
    logTargets + keyTargets + packTargets + treeTargets + hostTargets + catalogTargets + textTargets + databaseTargets
    + walTargets

private func say(_ text: String) {
    _ = Array(text.utf8).withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
}

/// Stops the fuzzer: a property does not hold for the input.
func expect(_ holds: Bool, _ what: StaticString) {
    guard !holds else { return }
    say("property broken: \(what)\n")
    abort()
}

private let chosen: Target = {
    let name = getenv("QALA_FUZZ_TARGET").map { String(cString: $0) } ?? ""
    guard let target = targets.first(where: { $0.name == name }) else {
        say("QALA_FUZZ_TARGET is one of: \(targets.map(\.name).joined(separator: " "))\n")
        exit(64)
    }
    return target
}()

/// With `QALA_FUZZ_SEEDS` set to a directory the seeds of all targets are written there, each in a directory of its target,
/// and the names of the targets are printed.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(
    _ count: UnsafeMutablePointer<Int32>, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
) -> Int32 {
    guard let directory = getenv("QALA_FUZZ_SEEDS").map({ String(cString: $0) }) else {
        _ = chosen
        return 0
    }
    for target in targets {
        mkdir("\(directory)/\(target.name)", 0o755)
        for (index, seed) in target.seeds().enumerated() {
            guard let file = fopen("\(directory)/\(target.name)/seed-\(index)", "w") else { exit(1) }
            _ = seed.withUnsafeBytes { fwrite($0.baseAddress, 1, $0.count, file) }
            fclose(file)
        }
        print(target.name)
    }
    fflush(nil)
    exit(0)
}

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    chosen.run(Array(UnsafeBufferPointer(start: data, count: size)))
    return 0
}
