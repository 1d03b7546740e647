package import Domain

/// One thing that is wrong in a document, and where.
package struct DocumentProblem: Sendable, Equatable {
    /// What is wrong, with the texts that a message needs. One case, one sentence in each language.
    package enum Reason: Sendable, Equatable {
        /// The text is not YAML; the parser's words.
        case syntax(String)
        case notUTF8
        case tooLarge(limit: Int)
        case tooDeep(limit: Int)
        case tooManyAliases(limit: Int)
        case tooManyNodes(limit: Int)
        case empty
        case unknownKey(String, place: Place, suggestion: String?)
        case duplicateKey(String)
        case missingKey(String, place: Place)
        case notAMapping(String)
        case notAList(String)
        case notAText(String)
        case notABoolean(String, found: String)
        case notANumber(String, found: String, from: Int, to: Int)
        case notADay(String, found: String)
        case emptyValue(String)
        case tooMany(String, limit: Int)
        case unknownValue(String, found: String, allowed: [String], suggestion: String?)
        case badName(String)
        case badID(String, found: String)
        case notAbsolute(String, path: String, suggestion: String)
        case notAProgram(String)
        case duplicatePath(String, firstLine: Int)
        case badPattern(String, why: String)
        /// Not the name of one file.
        case badFileName(String)
        /// Neither a path nor an address of a repository that may be read.
        case badRepository(String)
        case controlCharacter(String)
        case retention(String, RetentionError)
        case calendar(String, CalendarError)
        case amount(Amount, found: String, AmountError)
        case noTime(String)
        case notFixed(String, found: Period)
        case tooLong(String, longest: Period)
        case endsBeforeItBegins
        /// Two keys of which only one may stand.
        case standsAlone(String, beside: String)
        case oneOf(String, String)
        case onlyFor(String, value: String)
        case badZone(String)
        /// Not an address that alarms may go to.
        case badURL(String, found: String)
        case notOfKind(String, kind: String)
        case badKey
        case noPeople(String)
        case unknownPerson(String, suggestion: String?)
        /// Two persons share what only one may have.
        case shared(People.Clash, firstLine: Int)
        /// There is no such file, or it cannot be read; the system's words.
        case noFile(String)
        /// The set holds together in every document and not as a whole; `other` is the place of the other policy.
        case finding(PolicyFinding, other: String?)
    }

    /// The mapping that a key belongs to.
    package enum Place: String, Sendable {
        case policy, person, source, appointment, people, schedule, copy, tiers, tier, retention, limits, verification
        case hooks, hook
        case alarms, channel, deadMan
    }

    package enum Amount: String, Sendable {
        case bandwidth, cpu
        case size = "minimum-size"
    }

    /// The document, where an error is about several; nil for the one that the error names.
    package var file: String?
    /// Both count from 1; a column counts Unicode scalars.
    package var line: Int
    package var column: Int
    package var reason: Reason
    /// The clause of the regulation that is the reason.
    package var clause: Clause?

    package init(file: String? = nil, line: Int, column: Int, _ reason: Reason, clause: Clause? = nil) {
        self.file = file
        self.line = line
        self.column = column
        self.reason = reason
        self.clause = clause
    }

    /// Whether a set with this problem must not be put into force; everything but a non-conformity that time or the
    /// world beside the policies brings about.
    package var isBlocking: Bool {
        guard case .finding(let finding, _) = reason else { return true }
        return finding.isBlocking
    }

    /// `file:line:column: what (clause)`.
    package func line(in language: Language, file: String) -> String {
        let clause = clause.map { " (\($0.text(in: language)))" } ?? ""
        return "\(self.file ?? file):\(line):\(column): \(text(in: language))\(clause)"
    }

    static func isBefore(_ a: DocumentProblem, _ b: DocumentProblem) -> Bool {
        (a.file ?? "", a.line, a.column) < (b.file ?? "", b.line, b.column)
    }
}

/// Why a document cannot be used: everything that is wrong with it, in the order of its lines.
package struct DocumentsError: Failure {
    package enum Code: String, Sendable {
        /// The document was read and does not hold together.
        case invalid
        /// There is no such file.
        case missing
        /// The file is there and cannot be read.
        case unreadable
    }

    package var code: Code
    /// As the caller named it.
    package var file: String
    /// Empty unless `code` is `invalid`.
    package var problems: [DocumentProblem]
    /// The system's reason, for the other codes.
    package var underlying: String?

    package init(_ code: Code, file: String, problems: [DocumentProblem] = [], underlying: String? = nil) {
        self.code = code
        self.file = file
        self.problems = problems.sorted(by: DocumentProblem.isBefore)
        self.underlying = underlying
    }

    package var kind: FailureKind {
        switch code {
        case .invalid: .badPolicy
        case .missing: .notFound
        case .unreadable: .failed
        }
    }

    package var message: String { message(in: .english) }
    package var hint: String { hint(in: .english) }

    /// For an invalid document a line `file:line:column: what` for each problem.
    package func message(in language: Language) -> String {
        switch code {
        case .invalid: problems.map { $0.line(in: language, file: file) }.joined(separator: "\n")
        case .missing:
            language == .azerbaijani ? "\(file) faylı yoxdur" : "there is no file \(file)"
        case .unreadable:
            language == .azerbaijani
                ? "\(file) oxuna bilmədi: \(underlying ?? "")" : "\(file) cannot be read: \(underlying ?? "")"
        }
    }

    package func hint(in language: Language) -> String {
        switch (code, language) {
        case (.invalid, .english):
            "Correct the lines above and run the command again; until then nothing is done by this document."
        case (.invalid, .azerbaijani):
            "Yuxarıdakı sətirləri düzəldin və əmri yenidən icra edin; o vaxta qədər bu sənəd üzrə heç nə edilmir."
        case (.missing, .english): "Check the path; examples of policies are in the folder Policies."
        case (.missing, .azerbaijani): "Yolu yoxlayın; siyasət nümunələri Policies qovluğundadır."
        case (.unreadable, .english): "Check the rights on the file."
        case (.unreadable, .azerbaijani): "Faylın icazələrini yoxlayın."
        }
    }
}
