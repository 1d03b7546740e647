import Documents
import Domain
import Glibc
import Vault

/// A change of the policies as a whole: what is in force, what shall be, who asks and why.
///
/// Invariants:
/// 1. The request names both sets by their digests, so whoever signs it signs the bytes of every document.
/// 2. Who may approve is decided by the register of persons that is in force: a change never lends power to itself.
///    Only where nobody is in office yet, in the very first sets, the new register counts.
struct PolicyProposal {
    static let maximumReasonBytes = 4096

    var base: PolicySetDocument
    var proposed: PolicySetDocument
    var request: PolicyRequest

    /// A new one, from what was read.
    init(
        from base: PolicySetDocument, to proposed: PolicySetDocument, author: String, reason: String, at time: Int64
    ) throws {
        guard Self.isSound(author, reason) else {
            throw OperationError(
                .usage, "a change of the policies needs an author and a reason",
                hint: "Give an id of people.yaml with --author, and at most 4096 bytes of text with --reason.")
        }
        self.base = base
        self.proposed = proposed
        request = PolicyRequest(
            base: base.digest, proposed: proposed.digest, author: author, reason: reason, time: time)
    }

    /// One that was kept; nil where the documents are not those that the request names.
    init?(_ request: PolicyRequest, from base: PolicySetDocument, to proposed: PolicySetDocument) {
        guard base.digest == request.base, proposed.digest == request.proposed else { return nil }
        self.base = base
        self.proposed = proposed
        self.request = request
    }

    static func isSound(_ author: String, _ reason: String) -> Bool {
        !author.isEmpty && author.utf8.count <= 256 && reason.utf8.count <= maximumReasonBytes
            && !reason.allSatisfy(\.isWhitespace)
    }

    /// What approvals sign.
    var digest: Digest { SHA256Digest.of(request.canonicalBytes) }

    var changes: [PolicyChange] { PolicyPlan.compare(base.set, proposed.set) }

    var needsSecondPerson: Bool { changes.contains(where: \.needsSecondPerson) }

    /// The persons who may ask.
    var authors: People { base.set.people.persons.isEmpty ? proposed.set.people : base.set.people }

    /// Whether the author is in office on `day` and whoever calls is that person, as far as the register can tell.
    func checkAuthor(on day: CivilDay, caller: UInt32) throws {
        guard let person = authors[request.author] else {
            throw OperationError(
                .denied, "\(request.author) is not in the people.yaml that is in force",
                hint: "Give the id of a person of the register with --author.")
        }
        guard person.validity?.covers(day) ?? true else {
            throw OperationError(
                .denied, "\(request.author) is not in office on \(day)",
                hint: "Let a person in office ask for the change.")
        }
        guard let uid = person.uid, caller != uid, caller != 0 else { return }
        throw OperationError(
            .denied, "\(request.author) has the account \(uid), and the account \(caller) asks",
            hint: "Let \(request.author) run this command, or name yourself with --author.")
    }

    /// The author's signature over the request, which counts.
    func sign(with keyFile: String?) throws -> Authorship {
        guard let keyFile else {
            throw OperationError(
                .usage, "the author signs the request", hint: "Give the author's own key with --signing-key FILE.")
        }
        let message = Authorship.canonicalBytes(request: digest, author: request.author)
        let signed = Authorship(
            request: digest, author: request.author, signature: try SigningKeyFile.read(keyFile).sign(message))
        try check(signed, on: PolicyNow.day)
        return signed
    }

    /// Whether who is named as the author asked for it.
    func check(_ authorship: Authorship, on day: CivilDay) throws {
        guard let refusal = refusal(of: authorship, on: day) else { return }
        throw OperationError(
            .denied, "the signature of the author \(request.author) does not count: \(refusal)",
            hint: "Let \(request.author) write the request with the key whose public half is in people.yaml.")
    }

    /// Why the author's signature is worth nothing; nil where it counts.
    func refusal(of authorship: Authorship, on day: CivilDay) -> String? {
        guard authorship.request == digest, authorship.author == request.author else {
            return "it is for another request"
        }
        do {
            try authorship.check(people: authors, on: day, isValid: PersonSignature.isValid)
            return nil
        } catch {
            return error.text(in: .english)
        }
    }

    /// Whether everything that needs it has a second person's consent; every approval given must hold.
    func checkApprovals(_ approvals: [Approval], on day: CivilDay) throws {
        for approval in approvals {
            if let refusal = refusal(of: approval, on: day) {
                throw OperationError(
                    .denied, "the approval of \(approval.person) does not count: \(refusal)",
                    hint: "Let another person of people.yaml approve the request with `qala policy approve`.")
            }
        }
        guard Set(approvals.map(\.person)).count == approvals.count else {
            throw OperationError(.usage, "a person approves twice", hint: "Give each approval once.")
        }
        if approvals.isEmpty, needsSecondPerson {
            throw OperationError(
                .denied, "a second person must approve this change: \(reasons)",
                hint: "Write the request with --request FILE and let another person run `qala policy approve FILE`.")
        }
    }

    /// Why an approval is worth nothing; nil where it counts.
    func refusal(of approval: Approval, on day: CivilDay) -> String? {
        guard approval.request == digest else { return "it is for another request" }
        do {
            try approval.check(
                author: request.author, people: base.set.people, on: day, isValid: PersonSignature.isValid)
            return nil
        } catch {
            return error.text(in: .english)
        }
    }

    private var reasons: String {
        let found = Set(changes.flatMap(\.consent))
        return ConsentReason.allCases.filter(found.contains).map { $0.text(in: .english) }.joined(separator: "; ")
    }
}

/// What the strict check asks of the world, now.
enum PolicyNow {
    static var seconds: Int64 { Int64(clamping: WallTime.seconds()) }
    static var day: CivilDay { CivilDay(secondsSince1970: seconds) }
    static var caller: UInt32 { geteuid() }

    static var knowledge: PolicySet.Knowledge {
        PolicySet.Knowledge(instant: seconds) { ZoneFiles.rules($0) }
    }
}
