/// A MariaDB server, of which each run takes a full copy while it works.
package struct MariaDBSource: Sendable, Equatable {
    package static let usualTimeout = Period.hours(12)
    package static let longestTimeout = Period.days(7)

    package var name: String
    /// Where the local server listens.
    package var socket: String?
    /// Who asks; nil leaves it to the defaults file or to the account of this process.
    package var user: String?
    /// A file of options in the server's own form, where a password stands: it is read by the server's programs alone.
    package var defaultsFile: String?
    package var timeout: Period
    /// Asked right before the copy begins; what is counted there is in the copy at least.
    package var witnesses: [WitnessQuery]

    package init(
        name: String, socket: String? = nil, user: String? = nil, defaultsFile: String? = nil,
        timeout: Period = MariaDBSource.usualTimeout, witnesses: [WitnessQuery] = []
    ) {
        self.name = name
        self.socket = socket
        self.user = user
        self.defaultsFile = defaultsFile
        self.timeout = timeout
        self.witnesses = witnesses
    }
}

/// A question to a database whose answer is kept with the archive and compared when the archive is tried.
package struct WitnessQuery: Sendable, Equatable {
    package static let maximum = SourceFacts.maximumWitnesses

    package var name: String
    /// Gives one row with one value.
    package var query: String
    /// Where a server has several.
    package var database: String?

    package init(name: String, query: String, database: String? = nil) {
        self.name = name
        self.query = query
        self.database = database
    }
}
