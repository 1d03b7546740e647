package import Domain
import FoundationEssentials
import Vault

/// The entries of the audit log, oldest first.
package enum ShowAuditLog {
    package struct Request: Sendable {
        package static let mostLast = 100_000

        package var from: UInt64?
        /// Only the newest so many of those that match, at most ``mostLast``.
        package var last: Int?
        /// Beginning of the operation: `archive`, `archive.read`.
        package var operation: String?
        /// Part of the actor: a name, `user:1000/`, `service:qalad`.
        package var actor: String?
        /// A date, or a date and time: the first instant that it means.
        package var since: String?

        package init(from: UInt64?, last: Int?, operation: String?, actor: String?, since: String?) {
            self.from = from
            self.last = last
            self.operation = operation
            self.actor = actor
            self.since = since
        }
    }

    package static func run(_ request: Request, at workplace: Workplace, each: (AuditRow) throws -> Void) throws {
        try entries(of: AuditReading.log(at: workplace), request, workplace.interrupt, each)
    }

    /// A part of the entries, for the process that appends and so takes nothing over to read. With `last` all of them, else
    /// `limit` at most, and fewer where they are long.
    package static func page(_ request: Request, limit: Int, at workplace: Workplace) throws -> AuditPage {
        struct Full: Error {}
        var page = AuditPage(entries: [], next: nil)
        var bytes = 0
        let log = try AuditPlace(state: workplace.statePath).reading()
        do {
            try entries(of: log, request, workplace.interrupt) { row in
                if request.last == nil, page.entries.count >= limit || bytes >= pageBytes {
                    page.next = row.number
                    throw Full()
                }
                page.entries.append(row)
                bytes += row.subject.utf8.count + row.details.values.reduce(0) { $0 + $1.utf8.count }
            }
        } catch is Full {}
        return page
    }

    /// Of the texts on a page.
    private static let pageBytes = 8 << 20

    private static func entries(
        of log: AuditLog, _ request: Request, _ interrupt: InterruptFlag, _ each: (AuditRow) throws -> Void
    ) throws {
        let since = try request.since.map(instant)
        let size = log.size
        var first = min(request.from ?? 0, size)
        let isPlain = request.operation == nil && request.actor == nil && since == nil
        if isPlain, let last = request.last { first = max(first, size - min(size, UInt64(max(0, last)))) }
        // Kept in the order in which they come: the oldest gives way.
        var kept: [AuditRow] = []
        var stopped: (any Error)?
        do throws(VaultError) {
            try log.entries(first..<size) { (entry) throws(VaultError) in
                if interrupt.isSet { throw VaultError(.interrupted, "interrupted") }
                guard matches(entry, request, since) else { return }
                let row = AuditRow(entry)
                if let last = request.last, !isPlain {
                    kept.append(row)
                    if kept.count >= 2 * max(1, last) { kept.removeFirst(kept.count - max(1, last)) }
                    return
                }
                do { try each(row) } catch {
                    stopped = error
                    throw VaultError(.interrupted, "the reader of the entries went away")
                }
            }
        } catch {
            throw stopped ?? error
        }
        for row in kept.suffix(max(0, request.last ?? 0)) { try each(row) }
    }

    private static func matches(_ entry: AuditEntry, _ request: Request, _ since: Int64?) -> Bool {
        if let since, entry.time.seconds < since { return false }
        if let prefix = request.operation, !entry.act.operation.hasPrefix(prefix) { return false }
        if let part = request.actor, !entry.act.actor.text.contains(part) { return false }
        return true
    }

    /// What names a day or a minute means its first second here, and its last one where archives are named.
    private static func instant(_ text: String) throws -> Int64 {
        var exact = text
        if text.utf8.count == 10 { exact += "T00:00:00" }
        if text.utf8.count == 16 { exact += ":00" }
        guard let seconds = TimeText.parse(exact) else {
            throw OperationError(
                .usage, "\"\(text)\" is no date",
                hint: "Write 2026-11-22, \"2026-11-22 15:00\" or 2026-11-22T15:00:00Z.")
        }
        return seconds
    }
}

extension AuditRow {
    init(_ entry: AuditEntry) {
        self.init(
            number: entry.number, time: AuditTime.text(entry.time), actor: entry.act.actor.text,
            operation: entry.act.operation, subject: entry.act.subject, outcome: entry.act.outcome.rawValue,
            details: Dictionary(entry.act.details.map { ($0.name, $0.value) }) { first, _ in first },
            run: entry.act.run, via: entry.via)
    }
}

/// Opens the log for those who look at it.
enum AuditReading {
    private static let noteLimit = AuditCheckpoint.maximumBytes

    /// The log with everything in it that was spooled before. Who may not write there, has no room left or has lost the
    /// key sees what was taken over by others.
    static func log(at workplace: Workplace) throws -> AuditLog {
        let place = AuditPlace(state: workplace.statePath)
        do { try place.bringIn() } catch let error as any Failure where error.kind == .denied || error.kind == .failed {
            guard try place.identity()?.isBegun == true else { throw error }
        }
        return try place.reading()
    }

    static func base64(_ digest: Digest) -> String { Data(digest.bytes).base64EncodedString() }

    static func text(_ note: [UInt8]) -> String { String(decoding: note, as: UTF8.self) }

    /// A checkpoint that somebody kept in a file.
    static func checkpoint(_ path: String) throws -> AuditCheckpoint {
        guard let bytes = try StateFile.read(path, limit: noteLimit) else {
            throw OperationError(.notFound, "there is no file \(path)", hint: "Check the path.")
        }
        guard let checkpoint = AuditCheckpoint(note: bytes) else {
            throw OperationError(
                .usage, "\(path) is no checkpoint of an audit log",
                hint: "Give a file as `qala audit checkpoint` prints it, unchanged.")
        }
        return checkpoint
    }

    /// One that is also of the log that `trust` names, and signed by a key of it.
    static func checkpoint(_ path: String, of trust: AuditTrust) throws -> AuditCheckpoint {
        let found = try checkpoint(path)
        guard found.isValid(for: trust) else {
            throw OperationError(
                .damaged, "the checkpoint in \(path) is not one of the audit log \(trust.origin)",
                hint: "Compare its first line and the key (`qala audit key`) with what was told at enrolment.")
        }
        return found
    }
}

/// Checks the log, or a pack of it.
package enum VerifyAuditLog {
    /// Reads the whole log. `checkpoint` names a file with a checkpoint that was kept elsewhere.
    package static func run(
        comparedWith checkpoint: String? = nil, _ language: Language, at workplace: Workplace
    ) throws -> AuditCheck {
        let place = AuditPlace(state: workplace.statePath)
        var notTakenOver: String?
        // A log that is damaged cannot be opened to append; what is wrong with it is what was asked.
        do { try place.bringIn() } catch let error as any Failure { notTakenOver = error.message }
        let trust = try place.trust()
        let pinned = try checkpoint.map { try AuditReading.checkpoint($0, of: trust) }
        guard try place.identity()?.isBegun == true else { _ = try place.reading().size; throw lost(place) }
        let report: AuditReport
        do throws(VaultError) {
            report = try AuditVerifier.run(
                directory: place.logPath, trust: trust, pinned: pinned.map { [$0] } ?? []
            ) { (_, _) throws(VaultError) in
                if workplace.interrupt.isSet { throw VaultError(.interrupted, "interrupted") }
            }
        } catch {
            if error.code == .notFound || error.code == .noVault { throw lost(place) }
            throw error
        }
        return AuditCheck(
            origin: trust.origin, key: trust.keys.first?.text ?? "", entries: report.size, recent: report.recent,
            root: AuditReading.base64(report.root), torn: report.torn, comparedWith: pinned?.size,
            findings: report.findings.map { finding in
                AuditFindingRow(
                    kind: "\(finding.kind)", first: finding.range.lowerBound,
                    count: finding.range.upperBound - finding.range.lowerBound, text: finding.text(language))
            }, omitted: report.omitted, notTakenOver: notTakenOver)
    }

    private static func lost(_ place: AuditPlace) -> OperationError {
        OperationError(
            .damaged, "the audit log is gone from \(place.logPath)",
            hint: "Bring it back from a copy. What other places hold of it tells what was in it.")
    }

    /// Checks a pack without the log. `key` is the one that the host's enrolment tells.
    package static func pack(
        _ path: String, key: String?, since: String?, interrupt: InterruptFlag
    ) throws -> AuditPackCheck {
        var trust: AuditTrust?
        if let key {
            guard let parsed = AuditKey(key), parsed.kind == .log else {
                throw OperationError(
                    .usage, "\"\(key)\" is no key of an audit log", hint: "Give it as `qala audit key` prints it.")
            }
            trust = AuditTrust(origin: parsed.name, key: parsed.publicKey)
        }
        let earlier = try since.map { try AuditReading.checkpoint($0) }
        let pack = try AuditPack.verify(path: path, trust: trust, since: earlier) { (_) throws(VaultError) in
            if interrupt.isSet { throw VaultError(.interrupted, "interrupted") }
        }
        return AuditPackCheck(
            origin: pack.checkpoint.origin, first: pack.range.lowerBound,
            count: pack.range.upperBound - pack.range.lowerBound, size: pack.checkpoint.size, key: pack.key.text,
            isTrusted: trust != nil, since: pack.since?.size)
    }
}

/// What is taken out of the log for somebody who does not have it.
package enum TakeFromAuditLog {
    /// The proof that one entry is in the log.
    package static func proof(_ number: UInt64, at workplace: Workplace) throws -> AuditProof {
        let log = try AuditReading.log(at: workplace)
        let trust = try AuditPlace(state: workplace.statePath).trust()
        let checkpoint = log.lastCheckpoint
        guard number < log.size else {
            throw OperationError(
                .notFound, "the audit log has \(log.size) entries, and none with the number \(number)",
                hint: "Numbers count from 0.")
        }
        guard number < checkpoint.size else {
            throw OperationError(
                .tryAgain, "entry \(number) is not under a checkpoint yet",
                hint: "The daemon signs one every few minutes and when it stops.")
        }
        let proof = try log.inclusionProof(number, size: checkpoint.size)
        return AuditProof(
            origin: log.origin, key: trust.keys.first { checkpoint.isSigned(by: $0) }?.text ?? "", number: number,
            entry: AuditReading.text(try log.entry(number).line), size: checkpoint.size,
            leaf: AuditReading.base64(proof.leaf), root: AuditReading.base64(proof.root),
            path: proof.path.map(AuditReading.base64), checkpoint: AuditReading.text(checkpoint.note))
    }

    /// The newest checkpoint.
    package static func checkpoint(at workplace: Workplace) throws -> AuditCheckpointReport {
        let checkpoint = try AuditReading.log(at: workplace).lastCheckpoint
        return AuditCheckpointReport(
            origin: checkpoint.origin, size: checkpoint.size, root: AuditReading.base64(checkpoint.root),
            note: AuditReading.text(checkpoint.note))
    }

    /// Writes a pack. Without `from` it begins where the earlier checkpoint ended, or at the first entry; without `until`,
    /// the number of its last entry, it goes as far as the newest checkpoint.
    package static func pack(
        to path: String, from: UInt64?, until: UInt64?, since: String?, at workplace: Workplace
    ) throws -> AuditExportReport {
        let log = try AuditReading.log(at: workplace)
        let trust = try AuditPlace(state: workplace.statePath).trust()
        let earlier = try since.map { try AuditReading.checkpoint($0, of: trust) }
        let size = log.lastCheckpoint.size
        let first = from ?? earlier?.size ?? 0
        let end = until.map { $0 < UInt64.max ? $0 + 1 : $0 } ?? size
        guard end <= size else {
            throw OperationError(
                .notFound, "\(size) entries of the audit log are signed, entry \(end - 1) is not among them",
                hint: "The daemon signs every few minutes and when it stops; numbers count from 0.")
        }
        guard first < end else {
            throw OperationError(
                .notFound, "there is no entry to export from \(first) on", hint: "Choose a range with entries.")
        }
        try log.export(first..<end, since: earlier, to: path)
        return AuditExportReport(
            pack: path, origin: log.origin, first: first, count: end - first, size: size, since: earlier?.size)
    }

    /// The name of the log and the key that signs it. `renewing` puts a new key in the place of one that is lost.
    package static func key(renewing: Bool, at workplace: Workplace) throws -> AuditKeyReport {
        let place = AuditPlace(state: workplace.statePath)
        if renewing {
            try place.renewKey()
            let made = try place.trust()
            // By the spool, as every command does: who opens the log meanwhile must not keep this from being told.
            try AuditTrail(state: workplace.statePath).record(
                RecordedAct(
                    "audit.renew-key", subject: made.origin, outcome: .done,
                    details: [ActDetail("key", made.keys.first?.text ?? "")]))
            try place.bringIn()
        } else if try place.identity() == nil {
            try place.bringIn()
        }
        let trust = try place.trust()
        let keys = trust.keys
        return AuditKeyReport(
            origin: trust.origin, key: keys.first?.text ?? "",
            older: zip(keys.dropFirst(), trust.older).map { AuditKeyReport.OlderRow(key: $0.text, upTo: $1.upTo) },
            renewed: renewing)
    }
}
