import Domain
import Foundation
import Glibc
import TestSupport
import Testing

@testable import Operations
@testable import Vault

@Suite("The threads of a restore")
struct RestoreCrewTests {
    @Test("What a thread cannot make is one problem and not counted as restored, and the files beside it come back")
    func unmakeable() throws {
        let vault = try LyingVault()
        var page = HandmadePage()
        page.chunks = [try vault.group(["one", "two", "three"]), try vault.data("hello")]
        page.add(utf8("a"), flags: 1, permissions: 0o755)
        page.add(utf8("a/empty")) { $0.varint(0) }
        page.addMember("a/first", member: 0, length: 3)
        page.addMember("a/middle" + String(repeating: "x", count: 300), member: 1, length: 3)
        page.addFile("a/n" + String(repeating: "x", count: 300), chunk: 1, length: 5)
        page.addMember("a/third", member: 2, length: 5)
        page.addFile("a/whole", chunk: 1, length: 5)
        try vault.commit(page: page.bytes, firstPath: utf8("a"), entries: 7)
        let report = try vault.restore(verify: true).get()
        #expect(report.problemCount == 2 && report.damaged == 0)
        #expect(report.problems.count { $0.reason.hasPrefix("cannot be created") } == 2, "\(report.problems)")
        #expect(report.files == 4 && report.bytes == 13 && report.verified == 4)
        let found = try FileManager.default.contentsOfDirectory(atPath: vault.targetPath + "/a").sorted()
        #expect(found == ["empty", "first", "third", "whole"])
        #expect(try String(contentsOfFile: vault.targetPath + "/a/third", encoding: .utf8) == "three")
    }

    @Test("A group that is damaged is a problem of each file in it, and of no other")
    func damagedGroup() throws {
        let vault = try LyingVault()
        var page = HandmadePage()
        page.chunks = [try vault.group(["one", "two"]), try vault.add([1, 0, 0, 0, 9, 0, 0, 0, 65], .group)]
        page.add(utf8("a"), flags: 1, permissions: 0o755)
        for (number, group) in [0, 1, 1, 0, 1].enumerated() {
            page.add(utf8("a/\(number)"), flags: 1 << 6) { writer in
                for value in [3, UInt64(group), number == 3 ? 1 : 0] { writer.varint(value) }
            }
        }
        try vault.commit(page: page.bytes, firstPath: utf8("a"), entries: 6)
        let report = try vault.restore(verify: true).get()
        #expect(report.problemCount == 3 && report.damaged == 3, "\(report.problems)")
        #expect(report.files == 2 && report.verified == 2)
        let found = try FileManager.default.contentsOfDirectory(atPath: vault.targetPath + "/a").sorted()
        #expect(found == ["0", "3"])
    }

    /// As many bytes as `size`, which no other pair has.
    private func content(_ number: Int, _ version: Int, size: Int) -> Data {
        Data(Array("\(number) \(version) ".utf8) + Array(repeating: UInt8(truncatingIfNeeded: number), count: size))
    }

    @Test("Thousands of files come back: small ones of several groups in turn, empty, equal, linked and large ones")
    func many() throws {
        let scratch = try Scratch(inMemory: true)
        let passphrase = Array("many files of all sizes".utf8)
        _ = try InitializeVault.run(
            .init(writeOnlyHost: false, kitPath: scratch.place("kit"), passphrase: { passphrase }, suite: "blake3"),
            at: scratch.workplace("many files of all sizes"))
        func write(_ number: Int, _ version: Int) throws {
            // Every ninth is a copy of the one before.
            let origin = number % 9 == 8 ? number - 1 : number
            let size = origin % 500 == 7 ? 1 << 20 : origin * 7919 % 3000
            let bytes = origin % 8 == 0 ? Data() : content(origin, version, size: size)
            try bytes.write(to: URL(filePath: scratch.place("tree/\(number / 40)/\(number)")))
        }
        for folder in 0..<75 {
            try FileManager.default.createDirectory(
                atPath: scratch.place("tree/\(folder)/one below"), withIntermediateDirectories: true)
        }
        for number in 0..<3000 { try write(number, 0) }
        for number in stride(from: 3, to: 3000, by: 200) {
            let name = scratch.place("tree/\(number / 40)/\(number)")
            try #require(link(name, scratch.place("tree/\(number % 75)/link \(number)")) == 0)
        }
        let workplace = try scratch.workplace(kit: scratch.place("kit"))
        func archive() throws {
            let report = try ArchiveTrees.run(
                .init(
                    roots: [scratch.place("tree")], excludes: [], oneFileSystem: false, excludeCaches: false,
                    dryRun: false, policy: nil), at: workplace)
            #expect(report.problemCount == 0)
        }
        // What changed later lies in groups of its own.
        try archive()
        for number in stride(from: 5, to: 3000, by: 7) { try write(number, 1) }
        try archive()
        let report = try RestoreTrees.run(
            .init(
                archive: "latest", paths: [], target: scratch.place("back"), inPlace: false, dryRun: false,
                verify: true,
                conflict: .refuse), at: workplace)
        #expect(report.problemCount == 0 && report.files == 3015 && report.verified == 3015, "\(report.problems)")
        let ignored: Set<TreeComparison.Field> = geteuid() == 0 ? [] : [.owner]
        let found = TreeComparison.differences(
            scratch.bytes("tree"), scratch.bytes("back" + scratch.place("tree")), ignoring: ignored)
        #expect(found.isEmpty, "\(found.prefix(5))")
    }
}
