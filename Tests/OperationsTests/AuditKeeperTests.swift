import Foundation
import Glibc
import Testing
import Vault

@testable import Operations

@Suite("The daemon's hold on the audit log")
struct AuditKeeperTests {
    private static let act = AuditAct(.service("qalad"), "daemon.start", subject: "here")

    private func withPlace(_ body: (AuditPlace, AuditKeeper) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "qala-audit-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let keeper = AuditKeeper(state: folder.path)
        defer { keeper.stop() }
        try body(AuditPlace(state: folder.path), keeper)
    }

    private func operations(_ place: AuditPlace) throws -> [String] {
        let log = try place.reading()
        var found: [String] = []
        try log.entries(0..<log.size) { found.append($0.act.operation) }
        return found
    }

    private func wait(_ what: String, _ isSo: () throws -> Bool) rethrows {
        for _ in 0..<1200 {
            if try isSo() { return }
            usleep(50_000)
        }
        Issue.record("waited in vain for \(what)")
    }

    @Test("While another process has the log acts wait in the spool; then each is taken over once, and signed")
    func busy() throws {
        try withPlace { place, keeper in
            var other: AuditLog? = try place.open()
            try keeper.start()
            try keeper.record(Self.act)
            try keeper.record(Self.act)
            #expect(place.waiting().count == 1)
            #expect(other?.size == 0)
            other = nil
            wait("the spool to be taken over") { place.waiting().isEmpty }
            try keeper.record(Self.act)
            #expect(try operations(place) == ["daemon.start", "daemon.start", "daemon.start"])
            keeper.stop()
            #expect(try place.reading().lastCheckpoint.size == 3)
            #expect(keeper.takeProblems().isEmpty)
        }
    }

    @Test("A log without its key is told once, and no act is lost")
    func keyless() throws {
        try withPlace { place, keeper in
            _ = try place.open()
            let key = place.folder + "/key"
            let kept = try Data(contentsOf: URL(filePath: key))
            try FileManager.default.removeItem(atPath: key)
            try keeper.start()
            try keeper.record(Self.act)
            #expect(keeper.takeProblems().count == 1)
            try kept.write(to: URL(filePath: key))
            wait("the spool to be taken over") { place.waiting().isEmpty }
            #expect(try operations(place) == ["daemon.start"])
        }
    }
}
