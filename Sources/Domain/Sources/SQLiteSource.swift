/// One SQLite database, copied as its application left it between two transactions.
package struct SQLiteSource: Sendable, Equatable {
    package static let usualBusyTimeout = Period.seconds(60)
    package static let longestBusyTimeout = Period.hours(24)
    package static let usualIntegrityCheck = Period.days(1)

    package var name: String
    /// Absolute; of the database itself, not of its journal.
    package var path: String
    /// How long its application may keep it locked before the source has failed.
    package var busyTimeout: Period = SQLiteSource.usualBusyTimeout
    /// A full check of the copy is made when the last good one is as old as this; a quick one is made each time.
    package var integrityCheck: Period = SQLiteSource.usualIntegrityCheck
    package var witnesses: [WitnessQuery] = []

    package init(name: String, path: String) {
        self.name = name
        self.path = path
    }

    /// What the database is called in the archive, below the root of the source.
    package var file: String { path.split(separator: "/").last.map(String.init) ?? name }
}
