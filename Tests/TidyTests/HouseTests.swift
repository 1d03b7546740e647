import Testing

/// The rules, held against the repository as it is.
@Suite("The house is tidy")
struct HouseTests {
    /// Read once for all tests.
    private static let read = Result { try Repository() }
    let repository: Repository

    init() throws { repository = try Self.read.get() }

    /// Fails with every finding by file and line; also when there was nothing to look at.
    private func hold(_ rule: (SourceFile) -> [Finding], in files: [SourceFile]) {
        #expect(!files.isEmpty, "the rule looked at no file")
        let findings = files.flatMap(rule)
        #expect(findings.isEmpty, "\(findings.map(\.description).joined(separator: "\n"))")
    }

    @Test("Every import is one that the table of the house allows")
    func imports() { hold(ImportTable.check, in: repository.sources) }

    @Test("Every target of the table exists, and every folder of Sources is in it")
    func targets() {
        let folders = Set(repository.sources.compactMap(\.target))
        #expect(folders == Set(ImportTable.allowed.keys))
    }

    @Test("Files are short enough to read at a sitting")
    func fileLength() { hold(Rules.fileLength, in: repository.swift) }

    @Test("Functions are short enough to hold in mind")
    func functionLength() { hold(Rules.functionLength, in: repository.swift) }

    @Test("Nothing forces a try")
    func forcedTry() { hold(Rules.noForcedTry, in: repository.swift) }

    @Test("No build switches off overflow checks")
    func uncheckedBuilds() { hold(Rules.noUncheckedBuilds, in: repository.files) }

    @Test("Whatever silences the race checker argues why it is safe")
    func safety() { hold(Rules.safetyIsArgued, in: repository.swift) }

    @Test("The data plane and the domain never suspend")
    func suspension() {
        hold(Rules.noSuspension, in: repository.sources.filter { ImportTable.synchronous.contains($0.target ?? "") })
    }

    @Test("Nothing is marked as unfinished")
    func unfinished() { hold(Rules.nothingUnfinished, in: repository.files) }

    @Test("Nothing belongs to one machine only")
    func oneMachine() { hold(Rules.nothingOfOneMachine, in: repository.files) }

    @Test("Types are named for what they are")
    func names() { hold(Rules.typesAreNamed, in: repository.swift) }

    @Test("Links in documents lead somewhere")
    func links() {
        let byPath = repository.byPath
        hold({ DocumentRules.links($0, files: byPath, exists: repository.exists) }, in: repository.documents)
    }

    @Test("Documents name the exit codes that there are, and tables name them all")
    func exitCodes() {
        hold(DocumentRules.exitCodes, in: repository.documents)
    }
}
