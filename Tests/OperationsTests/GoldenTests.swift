import Domain
import Foundation
import Glibc
import Operations
import Testing
import Vault

/// Vaults that were written once and are kept for good, one for each hash suite: `scripts/make-golden`. Whatever changes,
/// they open, verify and restore to what went in.
@Suite("The golden vaults of format 1", .serialized)
struct GoldenTests {
    static let suites = ["blake3", "hmac-sha256"]
    private static let passphrase = "golden vault of format 1"
    private static let root = "tmp/qala-golden/tree"

    /// A copy of one vault, since opening a vault may write beside it, and what is kept of it.
    private struct Golden {
        let folder: URL
        /// Ids of archives and the names of their descriptions, oldest first.
        let archives: [(id: String, name: String)]

        init(_ suite: String, in scratch: Scratch) throws {
            folder = IndependentReader.repository.appending(path: "Tests/Golden/format-1/\(suite)")
            try FileManager.default.copyItem(
                atPath: folder.appending(path: "vault").path, toPath: scratch.place("vault"))
            let list = try String(contentsOf: folder.appending(path: "archives.txt"), encoding: .utf8)
            archives = list.split(separator: "\n").map { line in
                (String(line.prefix(64)), String(line.dropFirst(65)))
            }
            try #require(archives.map(\.name) == ["first", "second"])
        }

        func description(_ name: String) throws -> [String] {
            let text = try String(contentsOf: folder.appending(path: "\(name).tsv"), encoding: .utf8)
            return comparable(text)
        }
    }

    @Test("Verify, list and restore, with passphrase and kit", arguments: suites)
    func product(suite: String) throws {
        let scratch = try Scratch()
        let golden = try Golden(suite, in: scratch)
        let workplace = scratch.workplace(Self.passphrase)
        for request in [
            VerifyVault.Request(readData: true, samplePercent: nil, withoutKeys: false),
            VerifyVault.Request(readData: false, samplePercent: nil, withoutKeys: true),
        ] {
            let report = try VerifyVault.run(request, at: workplace)
            #expect(report.damage.isEmpty && report.archives == 2, "\(report.damage)")
        }
        #expect(try ListArchives.run(policy: nil, at: workplace).map(\.id) == golden.archives.map(\.id))
        let byKit = try scratch.workplace(kit: golden.folder.appending(path: "kit.txt").path)
        for (archive, workplace) in zip(golden.archives, [workplace, byKit]) {
            let expected = try golden.description(archive.name)
            var listed = 0
            try ListEntries.run(archive: archive.id, path: "/" + Self.root, recursive: true, at: workplace) { _ in
                listed += 1
            }
            if geteuid() == 0 { #expect(listed == expected.count) }
            let report = try RestoreTrees.run(
                .init(
                    archive: archive.id, paths: [], target: scratch.place(archive.name), inPlace: false, dryRun: false,
                    verify: true, conflict: .refuse), at: workplace)
            if geteuid() == 0 { #expect(report.problemCount == 0, "\(report.problems)") }
            try expectRestored(archive.name, expected, scratch)
        }
    }

    @Test(
        "The independent reader checks and restores them",
        .enabled(if: IndependentReader.isExpected, IndependentReader.missing), arguments: suites)
    func independent(suite: String) throws {
        let scratch = try Scratch()
        let golden = try Golden(suite, in: scratch)
        try scratch.write("passphrase", Self.passphrase)
        let key = ["--passphrase-file", scratch.place("passphrase")]
        let check = try IndependentReader.run(scratch.place("vault"), key[0], key[1], "check")
        #expect(check.status == 0 && check.output.contains("every byte of 2 archives"), "\(check.errors)")
        for (id, name) in golden.archives {
            let done = try IndependentReader.run(
                scratch.place("vault"), key[0], key[1], "restore", id, scratch.place(name))
            if geteuid() == 0 { #expect(done.status == 0, "\(done.errors)") }
            try expectRestored(name, try golden.description(name), scratch)
        }
    }

    @Test("The key that was removed opens nothing any more", arguments: suites)
    func removedKey(suite: String) throws {
        let scratch = try Scratch()
        _ = try Golden(suite, in: scratch)
        #expect { try ManageKeys.test(at: scratch.workplace("removed key of format 1")) } throws: { error in
            (error as? any Failure)?.kind == .wrongKey
        }
        #expect(
            try ManageKeys.list(at: scratch.workplace(Self.passphrase)).map(\.kind).sorted() == ["kit", "passphrase"])
    }

    private func expectRestored(_ target: String, _ expected: [String], _ scratch: Scratch) throws {
        let top = scratch.place(target) + "/" + Self.root
        let done = try IndependentReader.python("make-golden", ["--describe", top])
        #expect(done.status == 0, "\(done.errors)")
        let found = comparable(done.output)
        #expect(found == expected, "\(found.filter { !expected.contains($0) })")
        var info = stat()
        try #require(lstat(top + "/sparse", &info) == 0)
        #expect(info.st_blocks * 512 < 1 << 20, "the holes were filled")
    }
}

/// The lines of a description that the present account can restore, without the fields that only root can set.
private func comparable(_ text: String) -> [String] {
    let lines = text.split(separator: "\n").map(String.init)
    guard geteuid() != 0 else { return lines }
    return lines.compactMap { line in
        var fields = line.split(separator: "\t", omittingEmptySubsequences: false)
        guard fields.count == 9, !["b", "c"].contains(fields[0]) else { return nil }
        (fields[1], fields[2]) = (fields[1].suffix(3), "-")
        let kept = fields[6].split(separator: ",").filter { !$0.hasPrefix("security.") }
        fields[6] = kept.isEmpty ? "-" : Substring(kept.joined(separator: ","))
        return fields.joined(separator: "\t")
    }
}
