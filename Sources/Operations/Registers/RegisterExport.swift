import Domain
import FoundationEssentials
import Glibc

/// A register as a file for other programs.
package enum RegisterExport {
    package enum Format: String, Sendable, CaseIterable {
        /// RFC 4180, with the names of the columns in the first line.
        case csv
        /// `{"register":NAME,"rows":[…]}`, each row with the fields that it has.
        case json
    }

    package struct Report: Codable, Sendable {
        package var register: RegisterName
        package var rows: Int
        /// The file; nil for standard output.
        package var file: String?
        package var damage: [RegisterDamage]
        package var tornBytes: Int
    }

    /// Hands over the rows that are meant, oldest first, and adds to the report what is wrong with the files.
    package typealias Rows = (inout RegisterReport, (RegisterRow) throws -> Void) throws -> Void

    /// Those of the files of this host.
    package static func rows(_ name: RegisterName, _ filter: RegisterFilter, at workplace: Workplace) -> Rows {
        { report, body in try Registers.each(name, filter, at: workplace, &report, body) }
    }

    /// Those that somebody else reads page by page: `page` gives the rows from the one with that number on, counted from 0.
    /// Each page but the first begins with the row that was the last one before, so that none is missed unseen.
    package static func rows(_ name: RegisterName, page: @escaping (Int) throws -> RegisterReport) -> Rows {
        { report, body in
            var (count, last, more) = (0, String?.none, 1)
            while more > 0 {
                let next = try page(max(0, count - 1))
                var rows = next.rows[...]
                if let last {
                    guard rows.popFirst()?.id == last, !rows.isEmpty || next.more == 0 else {
                        throw OperationError(
                            .tryAgain, "the register \(name.rawValue) changed while it was read",
                            hint: "Repeat the command.")
                    }
                }
                for row in rows { try body(row) }
                count += rows.count
                last = rows.last?.id ?? last
                more = rows.isEmpty ? 0 : next.more
                (report.damage, report.tornBytes) = (next.damage, next.tornBytes)
            }
        }
    }

    /// Hands the bytes to `write` piece by piece, oldest row first. What is damaged is left out as far as it cannot be read,
    /// and named in the report.
    package static func run(
        _ name: RegisterName, as format: Format, _ rows: @escaping Rows, _ write: ([UInt8]) throws -> Void
    ) throws -> Report {
        var report = RegisterReport(register: name)
        let columns = name.columns
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var count = 0
        switch format {
        case .csv: try write(Array(CSVText.line(columns).utf8))
        case .json: try write(Array("{\"register\":\"\(name.rawValue)\",\"rows\":[\n".utf8))
        }
        try rows(&report) { row in
            switch format {
            case .csv: try write(Array(CSVText.line(columns.map { row.fields[$0] ?? "" }).utf8))
            case .json:
                let encoded = try encoder.encode(row.fields)
                try write(Array((count > 0 ? ",\n" : "").utf8) + Array(encoded))
            }
            count += 1
        }
        if format == .json { try write(Array("\n]}\n".utf8)) }
        return Report(
            register: name, rows: count, file: nil, damage: report.damage, tornBytes: report.tornBytes)
    }

    /// The same to a new file, which is complete and on the disk when this returns, and is not there when it throws.
    package static func run(
        _ name: RegisterName, as format: Format, _ rows: @escaping Rows, to path: String
    ) throws -> Report {
        let file = try ExportFile(path)
        var report = try run(name, as: format, rows) { try file.write($0) }
        try file.finish()
        report.file = path
        return report
    }
}

/// A new file for its owner alone, written front to back; it goes away again unless it is finished.
private final class ExportFile {
    private let path: String
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    private var isFinished = false

    init(_ path: String) throws {
        let made = Glibc.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard made >= 0 else { throw Self.failure("made", path) }
        // Only from here on there is something that `deinit` would remove.
        self.path = path
        descriptor = made
    }

    deinit {
        close(descriptor)
        if !isFinished { unlink(path) }
    }

    func write(_ bytes: [UInt8]) throws {
        buffer += bytes
        if buffer.count >= 1 << 16 { try flush() }
    }

    func finish() throws {
        try flush()
        guard fsync(descriptor) == 0 else { throw Self.failure("synced", path) }
        isFinished = true
    }

    private func flush() throws {
        var done = 0
        while done < buffer.count {
            let count = buffer.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress?.advanced(by: done), $0.count - done)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Self.failure("written", path) }
            done += count
        }
        buffer.removeAll(keepingCapacity: true)
    }

    private static func failure(_ what: String, _ path: String) -> OperationError {
        let reason = errno
        return OperationError(
            .failed, "\(path) cannot be \(what): \(String(cString: strerror(reason)))",
            hint: "Name a new file in a directory that you may write.")
    }
}
