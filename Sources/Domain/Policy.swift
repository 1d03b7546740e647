/// The eight components of an information system that policies archive: the seven of the regulation and the logs.
package enum Component: String, Sendable, CaseIterable, Codable {
    case database
    case media
    case config
    case software
    case accessData = "access-data"
    case documentation
    case problemRegister = "problem-register"
    case log

    /// The official term of the component.
    package func name(in language: Language) -> String {
        switch (self, language) {
        case (.database, .english): "database"
        case (.database, .azerbaijani): "məlumat bazası"
        case (.media, .english): "media files"
        case (.media, .azerbaijani): "media faylları"
        case (.config, .english): "configuration files"
        case (.config, .azerbaijani): "sazlama faylları"
        case (.software, .english): "software"
        case (.software, .azerbaijani): "proqram təminatı"
        case (.accessData, .english): "access data"
        case (.accessData, .azerbaijani): "giriş məlumatları"
        case (.documentation, .english): "technical documentation"
        case (.documentation, .azerbaijani): "texniki sənədləşmə"
        case (.problemRegister, .english): "problem register"
        case (.problemRegister, .azerbaijani): "problemlər reyestri"
        case (.log, .english): "operation history (logs)"
        case (.log, .azerbaijani): "əməliyyatların tarixçəsi (loqlar)"
        }
    }
}

/// How widely the content of an archive may be known, from the widest circle to the narrowest.
package enum Confidentiality: String, Sendable, CaseIterable, Codable {
    case `public`
    case `internal`
    case confidential
    case secret

    package func name(in language: Language) -> String {
        switch (self, language) {
        case (_, .english): rawValue
        case (.public, .azerbaijani): "açıq"
        case (.internal, .azerbaijani): "daxili istifadə üçün"
        case (.confidential, .azerbaijani): "məxfi"
        case (.secret, .azerbaijani): "tam məxfi"
        }
    }
}

/// One tree of files that a policy archives, with the rules that hold in it.
package struct FileSource: Sendable, Equatable {
    /// Absolute, without `.`, `..`, doubled or trailing slashes.
    package var path: String
    /// Lines of gitignore syntax, relative to `path`.
    package var excludes: [String]
    /// Do not cross into other mounted file systems.
    package var oneFileSystem: Bool
    /// Of directories that carry a `CACHEDIR.TAG`, keep only the directory and the tag.
    package var excludeCaches: Bool

    package init(path: String, excludes: [String] = [], oneFileSystem: Bool = false, excludeCaches: Bool = false) {
        self.path = path
        self.excludes = excludes
        self.oneFileSystem = oneFileSystem
        self.excludeCaches = excludeCaches
    }
}

/// An archiving policy: what of one component is archived, when, where to, for how long and on whose responsibility.
///
/// Every part of a value is well formed by itself: `Documents` makes it only from a document without errors. Only what
/// a run needs must be there. Whether the parts agree with each other, with the other policies and with the regulation
/// is what ``PolicySet/findings(on:knowing:)`` tells.
package struct Policy: Sendable, Equatable {
    /// At most this many bytes in a policy's name.
    package static let maximumNameBytes = 64

    package var name: String
    package var component: Component
    package var responsiblePerson: Person
    /// For which days the person was appointed; beside it, the validity of the person in the register counts.
    package var responsibleTerm: Validity = .always
    package var deputyPerson: Person?
    package var deputyTerm: Validity = .always
    /// The law, order or contract that this archiving rests on, in the words of the institution.
    package var legalBasis: String?
    package var confidentiality: Confidentiality
    /// Absolute path of the vault; nil leaves the choice to the command.
    package var vault: String?
    /// No path twice; at least one, unless there are logs or data sources.
    package var sources: [FileSource]
    /// No source twice.
    package var logs: [LogSource] = []
    /// No kind and name twice.
    package var data: [DataSource] = []
    package var mode: TierPlan.Mode = .copy
    package var schedule: Schedule?
    /// How much time's worth of data may be lost at most, and how long a recovery may take; of fixed length.
    package var rpo: Period?
    package var rto: Period?
    package var copies: [Copy] = []
    /// The answer for each tier that was given.
    package var tiers: [Tier: TierUse] = [:]
    package var retention: RetentionRule?
    /// A level of zstd; nil leaves the choice to the vault.
    package var compressionLevel: Int?
    package var limits = Limits()
    package var verification = Verification()
    package var hooks = Hooks()
    /// The name of the plan that recovers from the archives of this policy.
    package var recoveryPlan: String?
    /// What else the institution lays down (clause 5.2.5), in its own words.
    package var clauses: [String] = []

    package init(
        name: String, component: Component, responsiblePerson: Person, deputyPerson: Person? = nil,
        legalBasis: String? = nil, confidentiality: Confidentiality = .internal, vault: String? = nil,
        sources: [FileSource]
    ) {
        self.name = name
        self.component = component
        self.responsiblePerson = responsiblePerson
        self.deputyPerson = deputyPerson
        self.legalBasis = legalBasis
        self.confidentiality = confidentiality
        self.vault = vault
        self.sources = sources
    }

    package var responsible: String { responsiblePerson.name }
    package var deputy: String? { deputyPerson?.name }

    /// Whether `name` can name a policy: ASCII letters, digits, `.`, `_`, `-`, the first a letter or digit, so that
    /// `latest:NAME` on a command line and a file name made of it mean one thing only.
    package static func isWellFormed(name: String) -> Bool {
        guard let first = name.utf8.first, isWord(first), name.utf8.count <= maximumNameBytes else { return false }
        return name.utf8.allSatisfy { isWord($0) || $0 == 0x2E || $0 == 0x5F || $0 == 0x2D }
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: false
        }
    }
}
