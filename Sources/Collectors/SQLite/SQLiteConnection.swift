/// One open SQLite database. It never waits for a lock.
final class SQLiteConnection {
    /// What SQLite answered, with its extended code.
    struct Refusal: Error {
        var code: Int32
        var message: String

        /// Without what the extended code adds.
        var kind: Int32 { code & 0xFF }
    }

    enum Access {
        case reading
        /// A journal that a crashed application left is rolled back as any application would do.
        case writing
        case making
        /// Without locks and journals, for a file that nobody else has.
        case own
    }

    private let library: SQLiteLibrary
    private var handle: OpaquePointer?
    private let isInterrupted: () -> Bool

    init(_ path: String, _ access: Access, isInterrupted: @escaping () -> Bool = { false }) throws {
        library = try SQLiteLibrary.load()
        self.isInterrupted = isInterrupted
        var flags = SQLiteLibrary.Flag.noMutex
        var name = path
        switch access {
        case .reading: flags |= SQLiteLibrary.Flag.readOnly
        case .writing: flags |= SQLiteLibrary.Flag.readWrite
        case .making: flags |= SQLiteLibrary.Flag.readWrite | SQLiteLibrary.Flag.create
        case .own:
            flags |= SQLiteLibrary.Flag.readOnly | SQLiteLibrary.Flag.uri
            name = "file:\(Self.escaped(path))?immutable=1"
        }
        let code = library.open(name, &handle, flags, nil)
        guard code == SQLiteLibrary.Code.ok else {
            let refusal = refusal(code)
            close()
            throw refusal
        }
        library.progressHandler(
            handle, 100_000,
            { context in
                guard let context else { return 0 }
                return Unmanaged<SQLiteConnection>.fromOpaque(context).takeUnretainedValue().isInterrupted() ? 1 : 0
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    deinit { close() }

    func close() {
        guard let handle else { return }
        _ = library.close(handle)
        self.handle = nil
    }

    /// The fields of all rows, at most `limit`; nil for NULL.
    func rows(_ sql: String, limit: Int = 100) throws(Refusal) -> [[String?]] {
        var statement: OpaquePointer?
        let prepared = library.prepare(handle, sql, -1, &statement, nil)
        guard prepared == SQLiteLibrary.Code.ok else { throw refusal(prepared) }
        guard let statement else { throw Refusal(code: 1, message: "there is no statement in it") }
        defer { _ = library.finalize(statement) }
        var rows: [[String?]] = []
        while rows.count < limit {
            let code = library.step(statement)
            if code == SQLiteLibrary.Code.done { break }
            guard code == SQLiteLibrary.Code.row else { throw refusal(code) }
            rows.append(
                (0..<library.columnCount(statement)).map { column in
                    guard let text = library.columnText(statement, column) else { return nil }
                    let count = Int(library.columnBytes(statement, column))
                    return String(decoding: UnsafeBufferPointer(start: text, count: count), as: UTF8.self)
                })
        }
        return rows
    }

    /// The first field of the first row.
    func value(_ sql: String) throws(Refusal) -> String? { try rows(sql, limit: 1).first?.first ?? nil }

    /// Copies the whole database as of one moment into another. False while it is locked: nothing was copied then.
    func copy(into other: SQLiteConnection) throws(Refusal) -> Bool {
        guard let backup = library.backupBegin(other.handle, "main", handle, "main") else { throw other.refusal(1) }
        let code = library.backupStep(backup, -1)
        let end = library.backupEnd(backup)
        if code == SQLiteLibrary.Code.done {
            guard end == SQLiteLibrary.Code.ok else { throw other.refusal(end) }
            return true
        }
        if [SQLiteLibrary.Code.busy, SQLiteLibrary.Code.locked].contains(code & 0xFF) { return false }
        throw other.refusal(code)
    }

    private func refusal(_ code: Int32) -> Refusal {
        let extended = library.extendedErrorCode(handle)
        let message = library.errorMessage(handle).map { String(cString: $0) } ?? ""
        guard extended & 0xFF == code & 0xFF else { return Refusal(code: code, message: message) }
        return Refusal(code: extended, message: message)
    }

    /// For the part of a URI that is a path.
    private static func escaped(_ path: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var text: [UInt8] = []
        for byte in path.utf8 {
            let isPlain =
                byte == 0x2F || byte == 0x2D || byte == 0x2E || byte == 0x5F || (0x30...0x39).contains(byte)
                || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
            if isPlain { text.append(byte) } else { text += [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
