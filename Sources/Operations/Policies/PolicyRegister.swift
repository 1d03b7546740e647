import Documents
import Domain
import FoundationEssentials
import Glibc
import Vault

// The register of applied policies, `STATE/policies`: what is in force, and everything that ever was.
//
// 1. A version is one file and is never changed. Its file is the only commit point: it is there whole, or not at all.
// 2. Versions count from 1 without a gap, and each names the digest of the file before. `head.json` names the newest,
//    so that a version that was taken away is missed too; it is written after the version and may be one behind, never
//    two.
// 3. Nothing is believed that was not checked on this very read: numbers, chain, bounds; the documents give the digest
//    that was asked for; and what needed a second person has the signature of one who was in office then.
// 4. One process appends at a time, under a lock, on top of what it has just read.
// 5. A register that does not hold together is an error for everybody. It is never repaired or begun anew here.

/// A version that was in force once, or is.
struct AppliedVersion {
    var number: Int
    var origin: VersionOrigin
    /// Seconds since 1970.
    var applied: Int64
    var approvals: [Approval]
    var proposal: PolicyProposal

    var document: PolicySetDocument { proposal.proposed }
    var digest: Digest { proposal.request.proposed }
}

final class PolicyRegister {
    /// What is written beside a proposal when it comes into force.
    struct Step {
        var origin: VersionOrigin
        var authorship: Authorship?
        var approvals: [Approval]
        var time: Int64
    }

    private struct Head: Codable {
        var number: Int
        var sha256: String
    }

    private struct Link {
        var file: PolicyVersionFile
        var digest: Digest
    }

    /// More versions than an institution will ever apply.
    static let maximumCount = 100_000
    private static let headName = "head.json"
    private let path: String
    private let calls: any FileSystemCalls

    init(statePath: String, calls: any FileSystemCalls = LinuxCalls.shared) {
        path = statePath + "/policies"
        self.calls = calls
    }

    /// Nil while nothing was applied.
    func newest() throws -> AppliedVersion? {
        let links = try chain(whole: false)
        guard let last = links.last else { return nil }
        let base = try links.dropLast().last.map { try document(of: $0) }
        return try version(last, on: base ?? .nothing)
    }

    /// The version that is in force, where one must be.
    func inForce() throws -> AppliedVersion {
        if let newest = try newest() { return newest }
        throw OperationError(
            .notFound, "no policies were applied on this host",
            hint: "Put a folder into force with `qala policy apply FOLDER`, or name the folder.")
    }

    /// All of them, oldest first.
    func versions() throws -> [AppliedVersion] {
        var versions: [AppliedVersion] = []
        for link in try chain(whole: true) {
            versions.append(try version(link, on: versions.last?.document ?? .nothing))
        }
        return versions
    }

    /// Whoever holds it may append. It is held for a moment only; who waited in vain for `patience` seconds gets 11.
    func lock(patience: Double = 10) throws -> FileLock {
        try StateFile.makeDirectory(path)
        guard let lock = try FileLock.acquire(path: path + "/lock", patience: patience) else {
            throw OperationError(
                .inUse, "another command puts policies into force", hint: "Run this one again when it has ended.")
        }
        return lock
    }

    /// Puts a proposal into force; `lock` proves that nobody else does. The caller has checked persons and consent.
    func append(_ proposal: PolicyProposal, _ step: Step, holding lock: FileLock) throws -> Int {
        let links = try chain(whole: false)
        // A head that a crash left behind catches up first: two versions behind, it would look like damage.
        if let last = links.last { try writeHead(Head(number: links.count, sha256: last.digest.hex)) }
        let base = try links.last.map { try document(of: $0).digest } ?? PolicySetDocument.nothing.digest
        guard base == proposal.request.base else { throw Self.baseChanged(links.count) }
        guard links.count < Self.maximumCount else {
            throw OperationError(.failed, "there are too many versions of the policies")
        }
        let number = links.count + 1
        let file = PolicyVersionFile(number, after: links.last?.digest ?? .zero, proposal, step)
        let bytes = try file.encoded()
        // Nothing is written that would not be read.
        guard bytes.count <= PolicyVersionFile.byteLimit,
            KeptDocument.document(file.documents)?.digest == proposal.request.proposed
        else {
            throw OperationError(
                .usage, "the documents cannot be kept: too many, too large, or with names that a file may not have",
                hint: "Name each document NAME.yaml, below 1 MiB and below 48 MiB all together.")
        }
        try withExtendedLifetime(lock) {
            try StateFile.write("\(path)/\(Self.name(number))", bytes, calls: calls)
            do { try writeHead(Head(number: number, sha256: SHA256Digest.of(bytes).hex)) } catch {
                throw OperationError(
                    .failed,
                    "version \(number) is in force, and \(path)/\(Self.headName) could not be written: "
                        + ((error as? any Failure)?.message ?? "\(error)"),
                    hint: "Check the disk, and run the same command again.")
            }
        }
        return number
    }

    /// The version that a request with this digest brought into force; nil while none did.
    func version(of request: Digest) throws -> Int? {
        try chain(whole: false).first { $0.file.request == request.hex }?.file.number
    }

    static func baseChanged(_ number: Int) -> OperationError {
        OperationError(
            .denied, "the policies in force are others than the change was made for: version \(number) is in force now",
            hint: "See `qala policy plan`, and ask for the change anew.")
    }

    // MARK: Reading

    private static func name(_ number: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 8 - digits.count)) + digits + ".json"
    }

    private func damaged(_ what: String) -> OperationError {
        OperationError(
            .damaged, "the register of applied policies is damaged: \(what)",
            hint: "Compare \(path) with an archive of it and with the audit log, and restore it from there.")
    }

    /// Every file, with numbers, chain and head checked, and no document read. Unless they are wanted `whole`, the
    /// documents stay in memory for the last two alone.
    private func chain(whole: Bool) throws -> [Link] {
        // Before the versions: one that is applied meanwhile is then newer than the head, and not missing.
        let head = try StateFile.read("\(path)/\(Self.headName)", limit: 4096)
        let names = try StateFile.list(path).filter { name in
            name.hasSuffix(".json") && name != Self.headName && name.first?.isNumber == true
        }
        guard names.count <= Self.maximumCount else { throw damaged("it holds too many files") }
        var links: [Link] = []
        for (at, name) in names.enumerated() {
            let number = at + 1
            guard name == Self.name(number) else { throw damaged("version \(number) is missing") }
            guard let bytes = try StateFile.read("\(path)/\(name)", limit: PolicyVersionFile.byteLimit),
                let file = try? JSONDecoder().decode(PolicyVersionFile.self, from: Data(bytes))
            else { throw damaged("\(name) cannot be read") }
            guard file.format == PolicyVersionFile.currentFormat else {
                throw damaged("\(name) has the unknown format \(file.format)")
            }
            guard file.number == number else { throw damaged("\(name) says that it is version \(file.number)") }
            guard file.previous == (links.last?.digest ?? .zero).hex else {
                throw damaged("version \(number - 1) is not the one that version \(number) followed")
            }
            guard file.approvals.count <= KeptApproval.maximumCount,
                file.documents.count <= KeptDocument.maximumCount
            else { throw damaged("\(name) holds more than a version may") }
            links.append(Link(file: file, digest: SHA256Digest.of(bytes)))
            if !whole, links.count > 2 { links[links.count - 3].file.documents = [] }
        }
        try checkHead(head, links)
        return links
    }

    /// The head names the newest version, or, after a crash before it was written, the one before.
    private func checkHead(_ bytes: [UInt8]?, _ links: [Link]) throws {
        guard let bytes else {
            if links.count > 1 { throw damaged("\(Self.headName) is missing") }
            return
        }
        guard let head = try? JSONDecoder().decode(Head.self, from: Data(bytes)) else {
            throw damaged("\(Self.headName) cannot be read")
        }
        guard head.number >= 1, head.number == links.count || head.number == links.count - 1 else {
            throw damaged("\(Self.headName) names version \(head.number), and there are \(links.count)")
        }
        guard links[head.number - 1].digest.hex == head.sha256 else {
            throw damaged("version \(head.number) is not the one that was applied")
        }
    }

    private func writeHead(_ head: Head) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        try StateFile.write("\(path)/\(Self.headName)", Array(try encoder.encode(head)), calls: calls)
    }

    /// The documents of a version: each is well formed, and together they are what was asked for.
    private func document(of link: Link) throws -> PolicySetDocument {
        let number = link.file.number
        guard let document = KeptDocument.document(link.file.documents),
            document.digest.hex == link.file.proposed
        else {
            throw damaged("the documents of version \(number) are not those that were applied")
        }
        guard document.isReadable else { throw damaged("the documents of version \(number) are not understood") }
        return document
    }

    private func version(_ link: Link, on base: PolicySetDocument) throws -> AppliedVersion {
        let file = link.file
        let proposed = try document(of: link)
        guard let request = file.asRequest, let proposal = PolicyProposal(request, from: base, to: proposed),
            proposal.digest.hex == file.request
        else { throw damaged("the request of version \(file.number) is not the one that was applied") }
        let approvals = file.approvals.compactMap { $0.approval(of: proposal.digest) }
        let day = CivilDay(secondsSince1970: file.applied)
        guard approvals.count == file.approvals.count,
            approvals.allSatisfy({ proposal.refusal(of: $0, on: day) == nil })
        else { throw damaged("an approval of version \(file.number) does not hold") }
        if !approvals.isEmpty || file.signature != nil {
            let signature = file.signature.flatMap { Hex.bytes($0) } ?? []
            let authorship = Authorship(request: proposal.digest, author: request.author, signature: signature)
            guard proposal.refusal(of: authorship, on: day) == nil else {
                throw damaged("the author's signature of version \(file.number) does not hold")
            }
        }
        if approvals.isEmpty, proposal.needsSecondPerson {
            throw damaged("version \(file.number) needed a second person and has none")
        }
        return AppliedVersion(
            number: file.number, origin: file.origin, applied: file.applied, approvals: approvals, proposal: proposal)
    }
}
