package import Domain

// All policies of an institution as a folder of documents: `people.yaml` and one file per policy.
//
// 1. What is wrong in any of them is told at once. A document with problems does not keep the others from being
//    checked; only what would follow from its absence is not told.
// 2. A set is put into force only as a whole, and only by `validated`.
// 3. The canonical bytes are those of the documents: what was signed is what people read.

/// One document as it was read.
package struct DocumentText: Sendable, Equatable {
    /// As messages name it.
    package var file: String
    package var bytes: [UInt8]

    package init(file: String, bytes: [UInt8]) {
        self.file = file
        self.bytes = bytes
    }

    /// The last part of the path.
    package var name: String {
        String(file[(file.lastIndex(of: "/").map { file.index(after: $0) } ?? file.startIndex)...])
    }
}

package struct PolicySetDocument: Sendable {
    /// The set that was read: without the policies whose documents have problems.
    package let set: PolicySet
    /// The file of each policy in `set`.
    package let files: [String]
    /// The names of all documents with their bytes, in order of the names.
    package let documents: [DocumentText]
    /// What the documents themselves have wrong.
    private let problems: [DocumentProblem]
    private let places: [DocumentPlaces]

    /// Whether every document was understood, each by itself.
    package var isReadable: Bool { problems.isEmpty }

    /// Reads every `*.yaml` and `*.yml` file of a folder. Files that cannot be read are problems of the set.
    package static func read(folder: String) throws(DocumentsError) -> PolicySetDocument {
        let names = try DocumentFile.names(in: folder)
        var texts: [DocumentText] = []
        var problems: [DocumentProblem] = []
        for name in names {
            let path = folder == "/" ? "/\(name)" : "\(folder)/\(name)"
            do {
                texts.append(DocumentText(file: path, bytes: try DocumentFile.contents(path, waits: false)))
            } catch {
                problems.append(DocumentProblem(file: path, line: 1, column: 1, .noFile(error.underlying ?? "")))
            }
        }
        return PolicySetDocument(texts, problems: problems)
    }

    package init(_ documents: [DocumentText]) { self.init(documents, problems: []) }

    private init(_ documents: [DocumentText], problems known: [DocumentProblem]) {
        var problems = known
        var people = PolicyDocument.PeopleSource.absent
        var policies: [Policy] = []
        var files: [String] = []
        var places: [DocumentPlaces] = []
        for document in documents where document.name == PeopleDocument.fileName {
            do {
                people = .known(try PeopleDocument.parse(document.bytes, file: document.file))
            } catch {
                people = .broken
                problems += Self.located(error.problems, in: document.file)
            }
        }
        if known.contains(where: { $0.file?.hasSuffix("/\(PeopleDocument.fileName)") ?? false }) { people = .broken }
        for document in documents where document.name != PeopleDocument.fileName {
            let outcome = PolicyDocument.outcome(document.bytes, file: document.file, people: people)
            problems += Self.located(outcome.problems, in: document.file)
            guard let policy = outcome.value, outcome.problems.isEmpty else { continue }
            policies.append(policy)
            files.append(document.file)
            places.append(outcome.places)
        }
        var register = People.none
        if case .known(let known) = people { register = known }
        set = PolicySet(people: register, policies: policies)
        self.files = files
        self.documents = documents.sorted { Array($0.name.utf8).lexicographicallyPrecedes(Array($1.name.utf8)) }
        self.problems = problems
        self.places = places
    }

    private static func located(_ problems: [DocumentProblem], in file: String) -> [DocumentProblem] {
        problems.map { problem in
            var problem = problem
            problem.file = file
            return problem
        }
    }

    /// Everything that is wrong with the documents and with the set on `day`, by file, line and column.
    ///
    /// `folder` is where findings about the set as a whole are placed.
    package func problems(
        on day: CivilDay, knowing knowledge: PolicySet.Knowledge, folder: String
    ) -> [DocumentProblem] {
        var knowledge = knowledge
        // What a document with problems would have covered is not known.
        if !problems.isEmpty { knowledge.isWhole = false }
        let findings = set.validate(on: day, knowing: knowledge).map { finding in
            guard let at = finding.policy else {
                return DocumentProblem(
                    file: folder, line: 1, column: 1, .finding(finding, other: nil), clause: finding.clause)
            }
            let mark = places[at][finding.field]
            return DocumentProblem(
                file: files[at], line: mark.line, column: mark.column,
                .finding(finding, other: finding.other.map { place("policy", of: $0) }), clause: finding.clause)
        }
        return (problems + findings).sorted(by: DocumentProblem.isBefore)
    }

    private func place(_ field: String, of policy: Int) -> String {
        let mark = places[policy][field]
        return "\(files[policy]):\(mark.line):\(mark.column)"
    }

    /// The set if nothing keeps it from being put into force; otherwise everything that does.
    package func validated(
        on day: CivilDay, knowing knowledge: PolicySet.Knowledge, folder: String
    ) throws(DocumentsError) -> PolicySet {
        let blocking = problems(on: day, knowing: knowledge, folder: folder).filter(\.isBlocking)
        if blocking.isEmpty { return set }
        throw DocumentsError(.invalid, file: folder, problems: blocking)
    }

    /// The bytes whose digest names this set: a mark, and name and content of each document in the order of the names,
    /// each after its length as eight big-endian bytes.
    package var canonicalBytes: [UInt8] {
        var bytes = Array("qala policy set 1\u{0}".utf8)
        for document in documents {
            for part in [Array(document.name.utf8), document.bytes] {
                for shift in stride(from: 56, through: 0, by: -8) {
                    bytes.append(UInt8(truncatingIfNeeded: UInt64(part.count) >> UInt64(shift)))
                }
                bytes += part
            }
        }
        return bytes
    }
}
