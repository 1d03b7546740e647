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
        case emptyValue(String)
        case unknownValue(String, found: String, allowed: [String], suggestion: String?)
        case badName(String)
        case notAbsolute(String, path: String, suggestion: String)
        case duplicatePath(String, firstLine: Int)
        case badPattern(String, why: String)
        case controlCharacter(String)
    }

    /// The mapping that a key belongs to.
    package enum Place: String, Sendable {
        case policy, person, source
    }

    /// Both count from 1; a column counts Unicode scalars.
    package var line: Int
    package var column: Int
    package var reason: Reason

    package init(line: Int, column: Int, _ reason: Reason) {
        self.line = line
        self.column = column
        self.reason = reason
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
        self.problems = problems.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
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
        case .invalid:
            problems.map { "\(file):\($0.line):\($0.column): \($0.text(in: language))" }.joined(separator: "\n")
        case .missing:
            language == .azerbaijani ? "\(file) faylı yoxdur" : "there is no file \(file)"
        case .unreadable:
            language == .azerbaijani
                ? "\(file) oxuna bilmədi: \(underlying ?? "")" : "\(file) cannot be read: \(underlying ?? "")"
        }
    }

    package func hint(in language: Language) -> String {
        switch (code, language) {
        case (.invalid, .english): "Correct the lines above and run the command again; nothing was archived."
        case (.invalid, .azerbaijani):
            "Yuxarıdakı sətirləri düzəldin və əmri yenidən icra edin; heç nə arxivləşdirilmədi."
        case (.missing, .english): "Check the path; examples of policies are in the folder Policies."
        case (.missing, .azerbaijani): "Yolu yoxlayın; siyasət nümunələri Policies qovluğundadır."
        case (.unreadable, .english): "Check the rights on the file."
        case (.unreadable, .azerbaijani): "Faylın icazələrini yoxlayın."
        }
    }
}
