import Domain
import Glibc

/// One session with a PostgreSQL server; one thread's own. It ends with this object.
final class PostgreSQLConnection {
    private let library: PQLibrary
    private var handle: OpaquePointer?
    private let place: String

    /// `searchesPublic` false: every name is the system's own, whatever a database owner put in the way.
    init(
        _ connection: PostgreSQLSource.Connection, database: String? = nil, searchesPublic: Bool = false
    ) throws(CollectorError) {
        library = try PQLibrary.load()
        let name = database ?? connection.database
        place = "PostgreSQL at \(connection.host):\(connection.port)"
        var parameters = [
            "host": connection.host, "port": "\(connection.port)", "user": connection.user, "dbname": name,
            "application_name": "qala", "connect_timeout": "30", "keepalives_idle": "60",
            // Values come as the database keeps them, byte for byte.
            "client_encoding": "SQL_ASCII",
        ]
        if let passfile = connection.passfile { parameters["passfile"] = passfile }
        if !searchesPublic { parameters["options"] = "-c search_path=pg_catalog" }
        let words = parameters.map { (strdup($0.key), strdup($0.value)) }
        defer {
            for word in words {
                free(word.0)
                free(word.1)
            }
        }
        let keys = words.map { $0.0.map { UnsafePointer($0) } } + [nil]
        let values = words.map { $0.1.map { UnsafePointer($0) } } + [nil]
        // 0: the name of a database is never taken for a string of parameters.
        handle = library.connect(keys, values, 0)
        guard library.status(handle) == PQLibrary.connectionOK else {
            let text = Self.text(library.errorMessage(handle))
            close()
            throw Self.refused(place, text)
        }
        // What the server notices is not for the standard error of a daemon.
        _ = library.setNoticeProcessor(handle, { _, _ in }, nil)
    }

    deinit { close() }

    func close() {
        if handle != nil { library.finish(handle) }
        handle = nil
    }

    /// The rows of one statement, as the bytes of their fields; nil for NULL.
    func rows(_ statement: String, _ parameters: [String] = []) throws(CollectorError) -> [[[UInt8]?]] {
        guard handle != nil else { throw CollectorError(.io, "\(place) is not connected any more") }
        let words = parameters.map { strdup($0) }
        defer { for word in words { free(word) } }
        let values = words.map { $0.map { UnsafePointer($0) } }
        let result = library.executeParameters(
            handle, statement, Int32(values.count), nil, values, nil, nil, 0)
        defer { library.clear(result) }
        let status = library.resultStatus(result)
        guard status == PQLibrary.commandOK || status == PQLibrary.tuplesOK else {
            throw failure(result)
        }
        return (0..<library.rowCount(result)).map { row in
            (0..<library.fieldCount(result)).map { field in
                guard library.isNull(result, row, field) == 0, let value = library.value(result, row, field) else {
                    return nil
                }
                let count = Int(library.length(result, row, field))
                return Array(UnsafeRawBufferPointer(start: value, count: count))
            }
        }
    }

    /// The fields of the first row as texts, NULL as an empty one; there must be at least `count`.
    func first(_ statement: String, _ parameters: [String] = [], count: Int = 1) throws(CollectorError) -> [String] {
        let row = try rows(statement, parameters).first ?? []
        guard row.count >= count else { throw CollectorError(.io, "\(place) gave no answer to `\(statement)`") }
        return row.map { String(decoding: $0 ?? [], as: UTF8.self) }
    }

    // MARK: -

    private func failure(_ result: OpaquePointer?) -> CollectorError {
        let state = Self.text(library.resultErrorField(result, PQLibrary.sqlState))
        var text = Self.text(library.resultErrorMessage(result))
        if text.isEmpty { text = Self.text(library.errorMessage(handle)) }
        // What the server itself says has a state; 57P… is that it ends. libpq may still count a closed session as good.
        if state.isEmpty || state.hasPrefix("57P") || library.status(handle) != PQLibrary.connectionOK {
            return CollectorError(
                .io, "the session with \(place) was lost: \(text)",
                hint: "See the log of the server; what was archived of it in this run does not count.")
        }
        if state == "42501" {
            return CollectorError(
                .denied, "\(place) does not allow it: \(text)",
                hint: "Use a superuser, or give the role the rights that docs/postgresql.md lists.")
        }
        return CollectorError(.io, "\(place): \(text)", hint: "See the log of the server.")
    }

    private static func refused(_ place: String, _ text: String) -> CollectorError {
        let signs = ["authentication failed", "no password supplied", "pg_hba.conf", "role \""]
        guard signs.contains(where: { text.contains($0) }) else {
            return CollectorError(
                .io, "cannot connect to \(place): \(text)",
                hint: "Check that the server runs, and `socket` or `host` and `port` of the source.")
        }
        return CollectorError(
            .denied, "\(place) does not let us in: \(text)",
            hint: "Check `user` and `passfile` of the source, and pg_hba.conf of the server.")
    }

    private static func text(_ pointer: PQLibrary.Text?) -> String {
        guard let pointer else { return "" }
        let bytes = UnsafeRawBufferPointer(start: pointer, count: strlen(pointer))
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").joined(separator: " / ")
    }
}
