import Documents
import Domain
import Vault

/// How vault time stands.
package struct ClockReport: Codable, Sendable {
    /// RFC 3339, UTC, like all times here; nil while none is kept.
    package var vaultTime: String?
    /// False after a jump of the clock: then nothing expires.
    package var isTrusted: Bool
    /// The clock of the machine, and by how many seconds it is ahead of vault time.
    package var clock: String
    package var ahead: Int?
    package var boot: String
}

/// What two persons decide about vault time.
package struct ClockDecision: Codable, Sendable {
    /// `requested` or `confirmed`.
    package var outcome: String
    package var dryRun: Bool
    /// Vault time when it was asked for, and what it shall be.
    package var frozen: String
    package var proposed: String
    /// The clock of the machine and its boot at that moment.
    package var clock: String
    package var boot: String
    package var reason: String
    package var author: String
    package var approver: String?
    /// Digest of the request, which both sign.
    package var request: String
    package var authorSignature: String
    package var approverSignature: String?
    /// Where the request lies; nil once it is carried out.
    package var requestFile: String?
    /// Vault time afterwards.
    package var vaultTime: String?
}

/// Vault time after a jump of the clock: frozen until two persons confirm a time (`docs/daemon.md`).
///
/// Invariants:
/// 1. Both sign with the keys of the `people.yaml` in force, and they are two persons.
/// 2. What they sign names the freeze: nothing of it holds for another one, or twice.
package enum ConfirmVaultTime {
    /// Who signs, and with which file.
    package struct Signer: Sendable {
        package var person: String
        package var keyFile: String

        package init(person: String, keyFile: String) {
            self.person = person
            self.keyFile = keyFile
        }
    }

    package static func show(at workplace: Workplace) throws -> ClockReport {
        let (time, reading) = try VaultTimeFile.look(state: workplace.statePath)
        return ClockReport(
            vaultTime: time.map { TimeText.seconds($0.seconds) }, isTrusted: time?.isTrusted ?? false,
            clock: TimeText.seconds(reading.wall),
            ahead: time.map { Int(clamping: reading.wall.subtractingClamped($0.seconds)) }, boot: reading.bootID)
    }

    /// The first person's part: a signed request in the new file at `path`. Without `time` the clock of the machine is proposed.
    package static func request(
        _ time: String?, because reason: String, by signer: Signer, to path: String, at workplace: Workplace
    ) throws -> ClockDecision {
        guard PolicyProposal.isSound(signer.person, reason) else {
            throw OperationError(
                .usage, "a confirmation needs a person and a reason",
                hint: "Give an id of people.yaml with --person, and at most 4096 bytes of text with --reason.")
        }
        let proposed = try time.map { try instant($0) }
        let people = try people(workplace)
        let key = try SigningKeyFile.read(signer.keyFile)
        let request = try VaultTimeFile.change(state: workplace.statePath) { clock, reading in
            guard !clock.isTrusted else {
                throw OperationError(
                    .usage, ClockRequest.Refusal.trusted.text, hint: "`qala clock show` tells how it stands.")
            }
            return ClockRequest(
                reading: reading, frozen: clock.seconds, proposed: proposed ?? reading.wall, author: signer.person,
                reason: reason)
        }
        guard (0...ClockRequest.latest).contains(request.proposed) else {
            throw OperationError(.usage, "this time cannot be confirmed", hint: "Give another one with --time.")
        }
        let digest = SHA256Digest.of(request.canonicalBytes)
        let message = Authorship.canonicalBytes(request: digest, author: signer.person)
        let signed = Authorship(request: digest, author: signer.person, signature: try key.sign(message))
        try check(signed, request, people)
        try SmallFile.write(ClockRequestFile(request, signed.signature), to: path)
        var decision = decision("requested", request, signed)
        decision.requestFile = path
        return decision
    }

    /// The second person's part: checks everything, signs and carries it out. A dry run needs no key and shows what is asked.
    package static func approve(
        _ path: String, by signer: Signer?, dryRun: Bool, at workplace: Workplace
    ) throws -> ClockDecision {
        let (request, authorship) = try ClockRequestFile.read(path)
        let people = try people(workplace)
        try check(authorship, request, people)
        var decision = decision("confirmed", request, authorship)
        decision.dryRun = dryRun
        decision.requestFile = dryRun ? path : nil
        guard !dryRun else {
            let (clock, reading) = try VaultTimeFile.look(state: workplace.statePath)
            if let refusal = clock?.refusal(of: request, at: reading) { throw refused(refusal) }
            return decision
        }
        guard let signer else { throw OperationError(.usage, "a second person must sign", hint: "Give --signing-key.") }
        let key = try SigningKeyFile.read(signer.keyFile)
        let message = Approval.canonicalBytes(request: authorship.request, person: signer.person)
        let approval = Approval(
            request: authorship.request, person: signer.person, signature: try key.sign(message))
        do {
            try approval.check(
                author: request.author, people: people, on: request.day, isValid: PersonSignature.isValid)
        } catch { throw denied(signer.person, error) }
        let time = try VaultTimeFile.change(state: workplace.statePath) { clock, reading in
            do throws(ClockRequest.Refusal) { try clock.confirm(request, at: reading) } catch { throw refused(error) }
            return clock.seconds
        }
        decision.approver = signer.person
        decision.approverSignature = Hex.text(approval.signature)
        decision.vaultTime = TimeText.seconds(time)
        return decision
    }

    private static func instant(_ text: String) throws -> Int64 {
        guard let time = TimeText.parse(text) else {
            throw OperationError(
                .usage, "`\(text)` is no time",
                hint: "Write 2026-11-22T15:00:00Z, or \"2026-11-22 15:00\" in local time.")
        }
        return time
    }

    /// Of the policies in force, of which two persons at least must have keys.
    private static func people(_ workplace: Workplace) throws -> People {
        let people = try PolicyRegister(statePath: workplace.statePath).inForce().document.set.people
        guard people.persons.count(where: { $0.publicKey != nil }) >= 2 else {
            throw OperationError(
                .denied, "fewer than two persons of the people.yaml in force have a key",
                hint: "`qala policy key` makes one; its public half comes into force with `qala policy apply`.")
        }
        return people
    }

    private static func check(_ authorship: Authorship, _ request: ClockRequest, _ people: People) throws {
        do {
            try authorship.check(people: people, on: request.day, isValid: PersonSignature.isValid)
        } catch { throw denied(authorship.author, error) }
    }

    private static func denied(_ person: String, _ refusal: Approval.Refusal) -> OperationError {
        OperationError(
            .denied, "the signature of \(person) does not count: \(refusal.text(in: .english))",
            hint: "Two persons of the people.yaml in force decide, each with the own key.")
    }

    private static func refused(_ refusal: ClockRequest.Refusal) -> OperationError {
        OperationError(
            .denied, "the request does not count: \(refusal.text)",
            hint:
                "See `qala clock show`; where vault time is not trusted, ask anew with `qala clock confirm --request`.")
    }

    private static func decision(
        _ outcome: String, _ request: ClockRequest, _ authorship: Authorship
    ) -> ClockDecision {
        ClockDecision(
            outcome: outcome, dryRun: false, frozen: TimeText.seconds(request.frozen),
            proposed: TimeText.seconds(request.proposed), clock: TimeText.seconds(request.reading.wall),
            boot: request.reading.bootID, reason: request.reason, author: request.author,
            request: authorship.request.hex, authorSignature: Hex.text(authorship.signature))
    }
}

/// Ed25519, for what checks persons without cryptography of its own.
enum PersonSignature {
    static func isValid(_ key: ApprovalKey, _ message: [UInt8], _ signature: [UInt8]) -> Bool {
        guard let publicKey = Digest(key.bytes) else { return false }
        return SigningKey.verify(signature: signature, message: message, publicKey: publicKey)
    }
}

/// The file in which the request reaches the second person. It holds no secret.
private struct ClockRequestFile: Codable {
    private static let word = "clock"
    private static let limit = 64 << 10

    var request: String
    var boot: String
    /// Seconds since the machine was started; the others since 1970.
    var sinceBoot: Int64
    var clock: Int64
    var frozen: Int64
    var proposed: Int64
    var author: String
    var reason: String
    var signature: String

    init(_ value: ClockRequest, _ signature: [UInt8]) {
        request = Self.word
        boot = value.reading.bootID
        sinceBoot = value.reading.boot
        clock = value.reading.wall
        frozen = value.frozen
        proposed = value.proposed
        author = value.author
        reason = value.reason
        self.signature = Hex.text(signature)
    }

    static func read(_ path: String) throws -> (request: ClockRequest, authorship: Authorship) {
        let file = try SmallFile.read(ClockRequestFile.self, path, limit: limit, what: "request")
        guard file.request == word else {
            throw SmallFile.broken(path, "request", "it asks for something else than a confirmation of vault time")
        }
        let times = 0...ClockRequest.latest
        guard PolicyProposal.isSound(file.author, file.reason), file.boot.utf8.count <= 64, file.sinceBoot >= 0,
            times.contains(file.frozen), times.contains(file.proposed), let signature = Hex.bytes(file.signature)
        else { throw SmallFile.broken(path, "request", "it is malformed") }
        let request = ClockRequest(
            reading: VaultClock.Reading(wall: file.clock, boot: file.sinceBoot, bootID: file.boot),
            frozen: file.frozen, proposed: file.proposed, author: file.author, reason: file.reason)
        let digest = SHA256Digest.of(request.canonicalBytes)
        return (request, Authorship(request: digest, author: file.author, signature: signature))
    }
}
