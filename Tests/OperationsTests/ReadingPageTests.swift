import Domain
import Foundation
import Testing
import Vault

@testable import Operations

/// Registers and the audit log, page by page as the daemon hands them out.
@Suite("Pages of registers and of the audit log")
struct ReadingPageTests {
    private static func withRuns(_ count: Int, _ body: (Workplace, RegisterWriter) throws -> Void) throws {
        let scratch = try Scratch()
        let writer = try RegisterWriter(RegisterFiles(state: scratch.path, .runs))
        for number in 0..<count { try append(number, to: writer) }
        try body(Workplace(vaultPath: scratch.place("vault"), statePath: scratch.path), writer)
        withExtendedLifetime(scratch) {}
    }

    private static func append(_ number: Int, to writer: RegisterWriter) throws {
        let state = number % 3 == 0 ? "failed" : "done"
        try writer.append("2026-11-22T00:00:00Z", state, ["run": "r\(number)", "message": "=x, \"\(number)\""])
    }

    private static func export(_ rows: @escaping RegisterExport.Rows) throws -> (text: String, rows: Int) {
        var bytes: [UInt8] = []
        let report = try RegisterExport.run(.runs, as: .csv, rows) { bytes += $0 }
        return (String(decoding: bytes, as: UTF8.self), report.rows)
    }

    @Test("An export page by page is the one of the files, wherever the pages end", arguments: [2, 3, 7, 24, 25, 26])
    func pages(limit: Int) throws {
        var failed = RegisterFilter()
        failed.kind = "failed"
        for count in [0, 1, 25] {
            try Self.withRuns(count) { workplace, _ in
                for filter in [RegisterFilter(), failed] {
                    let whole = try Self.export(RegisterExport.rows(.runs, filter, at: workplace))
                    var asked = 0
                    let paged = try Self.export(
                        RegisterExport.rows(.runs) { start in
                            asked += 1
                            let page = try Registers.page(.runs, filter, from: start, limit: limit, at: workplace)
                            #expect(page.rows.count <= limit)
                            return page
                        })
                    #expect(paged.text == whole.text && paged.rows == whole.rows, "\(count) rows")
                    #expect(asked <= max(1, whole.rows), "\(count) rows")
                }
            }
        }
    }

    @Test("Rows that are added meanwhile are exported too, and a row that goes away ends the export")
    func changes() throws {
        try Self.withRuns(10) { workplace, writer in
            var added = 10
            let grown = try Self.export(
                RegisterExport.rows(.runs) { start in
                    let page = try Registers.page(.runs, RegisterFilter(), from: start, limit: 4, at: workplace)
                    if added < 13 {
                        try Self.append(added, to: writer)
                        added += 1
                    }
                    return page
                })
            #expect(grown.rows == 13)
            let numbers = grown.text.split(separator: "\r\n").dropFirst().compactMap { line in
                line.split(separator: ",").first.flatMap { Int($0) }
            }
            #expect(numbers == Array(1...grown.rows))

            var isFirst = true
            var kind: FailureKind?
            do {
                _ = try Self.export(
                    RegisterExport.rows(.runs) { start in
                        var page = try Registers.page(.runs, RegisterFilter(), from: start, limit: 4, at: workplace)
                        if !isFirst { page.rows.removeFirst() }
                        isFirst = false
                        return page
                    })
            } catch let error as OperationError {
                kind = error.kind
            }
            #expect(kind == .tryAgain)
        }
    }

    @Test("Pages of the audit log go on where the one before ended, also where few entries match")
    func audit() throws {
        let scratch = try Scratch()
        let place = AuditPlace(state: scratch.path)
        let log = try place.open()
        for number in 0..<25 {
            try log.append(
                AuditAct(.service("qalad"), number % 5 == 0 ? "archive.read" : "archive.list", subject: "\(number)"))
        }
        try log.checkpoint()
        let workplace = Workplace(vaultPath: scratch.place("vault"), statePath: scratch.path)
        func all(_ operation: String?, limit: Int) throws -> [String] {
            var request = ShowAuditLog.Request(from: nil, last: nil, operation: operation, actor: nil, since: nil)
            var found: [String] = []
            while true {
                // Beside the process that has the log open to append.
                let page = try ShowAuditLog.page(request, limit: limit, at: workplace)
                #expect(page.entries.count <= limit)
                found += page.entries.map(\.subject)
                guard let next = page.next else { return found }
                request.from = next
            }
        }
        for limit in [1, 4, 5, 24, 25, 26] {
            #expect(try all(nil, limit: limit) == (0..<25).map { "\($0)" }, "\(limit)")
            #expect(try all("archive.read", limit: limit) == ["0", "5", "10", "15", "20"], "\(limit)")
        }
        let newest = ShowAuditLog.Request(from: nil, last: 3, operation: nil, actor: nil, since: nil)
        let page = try ShowAuditLog.page(newest, limit: 1, at: workplace)
        #expect(page.entries.map(\.subject) == ["22", "23", "24"] && page.next == nil)
        withExtendedLifetime((log, scratch)) {}
    }
}
