import Domain
import Foundation
import Glibc
import Testing

@testable import Operations

@Suite("Files that a removal left unsettled")
struct MoveSettlingTests {
    private let archive = Digest(words: (1, 2, 3, 4))

    /// A folder with a register in which the removal of `name` was begun; the file system is that of the folder, or another.
    private func begun(_ name: String, in folder: URL, onAnother: Bool = false) throws -> (MovedFile, Workplace) {
        let state = folder.appending(path: "state").path
        try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: true)
        var info = stat()
        try #require(stat(folder.path, &info) == 0)
        let device = UInt64(info.st_dev) + (onAnother ? 1 : 0)
        let file = MovedFile(
            id: "0123456789abcdef", policy: "letters", policies: 1, vault: "v", archive: archive,
            path: Array("\(folder.path)/\(name)".utf8.dropFirst()), size: 1, sha256: "", stamp: "\(device) 1 1 1 0",
            time: 1)
        try MovedRegister(state: state).write(moving: [file])
        return (file, Workplace(vaultPath: "", statePath: state))
    }

    private func settled(at workplace: Workplace) throws -> MoveReport {
        var report = MoveReport()
        try MoveSettling.run(try MovedRegister(state: workplace.statePath), at: workplace, &report)
        return report
    }

    private func withFolder(_ body: (URL) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.resolvingSymlinksInPath()
            .appending(path: "qala-settling-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder)
    }

    @Test(
        "A file whose folder is gone is settled once, with a reason, and its archive is kept", arguments: [false, true])
    func folderGone(isReplaced: Bool) throws {
        try withFolder { folder in
            let (file, workplace) = try begun("gone/deeper/a.txt", in: folder)
            // Something else than a directory stands where one was.
            if isReplaced { try #require(symlink("elsewhere", folder.path + "/gone") == 0) }
            let report = try settled(at: workplace)
            #expect(report.settled == 1 && report.problems.count == 1, "\(report.problems)")
            #expect(report.problems.first?.reason.contains(".qala-move-\(file.id)") == true, "\(report.problems)")
            let book = try MovedBook(state: workplace.statePath, vault: "v")
            #expect(book.unsettled.isEmpty && book.damage.isEmpty)
            #expect(book.files(of: archive, under: nil)?.count == 1)
            var reasons: [String] = []
            _ = try RegisterFiles(state: workplace.statePath, .moved).read { entry in
                if entry.kind == MovedLine.moved.rawValue { reasons.append(entry.fields["reason"] ?? "") }
            }
            #expect(reasons.count == 1 && reasons[0].contains("folder is gone"), "\(reasons)")
            let again = try settled(at: workplace)
            #expect(again.settled == 0 && again.problems.isEmpty)
        }
    }

    @Test("Where the file system of the folder may only not be mounted nothing is settled, and it is told each time")
    func notMounted() throws {
        try withFolder { folder in
            let (_, workplace) = try begun("gone/a.txt", in: folder, onAnother: true)
            for _ in 0..<2 {
                let report = try settled(at: workplace)
                #expect(report.settled == 0 && report.problems.count == 1)
            }
            #expect(try MovedBook(state: workplace.statePath, vault: "v").unsettled.count == 1)
        }
    }
}
