/// A git repository with all its refs, kept as one bundle.
package struct GitSource: Sendable, Equatable {
    package static let usualTimeout = Period.hours(1)
    package static let longestTimeout = Period.days(7)
    package static let usualIntegrityCheck = Period.days(1)

    package var name: String
    /// An absolute path on this host, or an address of `https`, `ssh` or `file`.
    package var repository: String
    /// Of each program of git that runs.
    package var timeout: Period = GitSource.usualTimeout
    /// All objects of the mirror are checked when the last good check is as old as this.
    package var integrityCheck: Period = GitSource.usualIntegrityCheck

    package init(name: String, repository: String) {
        self.name = name
        self.repository = repository
    }

    /// The path on this host; nil for what is elsewhere.
    package var localPath: String? {
        repository.hasPrefix("/")
            ? repository
            : repository.hasPrefix("file:///") ? String(repository.dropFirst("file://".count)) : nil
    }

    /// Whether git would take it for nothing but a repository, and it holds no secret. An absolute path is checked by whoever
    /// reads it.
    package static func isAddress(_ text: String) -> Bool {
        guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { return false }
        guard let scheme = ["https://", "ssh://", "file:///"].first(where: text.hasPrefix) else { return false }
        let rest = text.dropFirst(scheme.count)
        let place = rest.prefix { $0 != "/" }
        guard scheme != "file:///" else { return !rest.isEmpty }
        // What stands before the host may be a name, never a password; a host that looks like an option is none.
        let user = place.split(separator: "@", omittingEmptySubsequences: false)
        guard let host = user.last, user.count <= 2, !host.isEmpty, !host.hasPrefix("-"), !place.hasPrefix("-") else {
            return false
        }
        return rest.count > place.count + 1 && (user.count == 1 || !user[0].contains(":"))
    }
}
