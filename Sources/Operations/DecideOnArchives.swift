import Domain
import FoundationEssentials
import Vault

/// Why somebody disposes of archives, holds them or lets them go, and on what terms: what the note of a decision holds, so that
/// both persons sign it.
package struct Reason: Codable, Sendable, Equatable {
    package var reason: String
    /// The law, order or case that it rests on.
    package var basis: String?
    /// Of a disposal: also of what a policy in force still keeps.
    package var beforePeriod: Bool?
    /// Of a disposal: ids of the volumes that keep the archives, of which only the online copies go.
    package internal(set) var volumes: [String]?

    package init(reason: String, basis: String?, isBeforePeriod: Bool = false) {
        self.reason = reason
        self.basis = basis
        if isBeforePeriod { beforePeriod = true }
    }

    var isBeforePeriod: Bool { beforePeriod == true }

    func text() throws -> String {
        guard !reason.allSatisfy(\.isWhitespace) else {
            throw OperationError(.usage, "a reason is needed", hint: "Say it with --reason.")
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    /// Nil where the note cannot be read with this key.
    static func read(
        _ reference: ObjectReference, _ vault: Vault, _ unlocked: UnlockedReader
    ) throws -> Reason? {
        guard let text = try vault.note(reference, with: unlocked) else { return nil }
        return try? JSONDecoder().decode(Reason.self, from: Data(text.utf8))
    }
}

/// What was decided, or is asked for.
package struct DecisionReport: Codable, Sendable {
    /// `dispose`, `hold` or `release`.
    package var decision: String
    package var archives: [String] = []
    package var hold: String?
    package var reason: String?
    package var basis: String?
    /// True where two persons dispose of what a policy in force still keeps.
    package var beforePeriod: Bool?
    /// Where only the online copies go: the volumes that keep the archives.
    package var volumes: [String]?
    /// How many archives wait for a request of their own: one names 1000 at most.
    package var left: Int?
    /// Where the request for the second person lies; nil when the decision is in the log.
    package var request: String?

    mutating func tell(_ reason: Reason?) {
        self.reason = reason?.reason
        basis = reason?.basis
        beforePeriod = reason?.beforePeriod
        volumes = reason?.volumes
    }
}

/// One hold in a list.
package struct HoldRow: Codable, Sendable {
    package var id: String
    package var placed: String
    /// Nil: in force.
    package var released: String?
    /// Empty: every archive, also future ones.
    package var archives: [String]
    /// Nil without a key that the note was sealed to.
    package var reason: String?
    package var basis: String?
}

/// Carries out what another administrator asked for.
package enum ApproveRequest {
    package enum Act: Sendable { case dispose, release }

    package static func run(
        _ path: String, expecting act: Act, dryRun: Bool, at workplace: Workplace
    ) throws -> DecisionReport {
        let request = try RequestFile.read(path)
        let kind = act == .dispose ? ActRequest.Kind.dispose : .release
        guard request.kind == kind else {
            throw OperationError(
                .usage, "\(path) asks for something else",
                hint: request.kind == .dispose ? "Use `qala dispose --approve`." : "Use `qala hold release --approve`.")
        }
        let open = try OpenVault(workplace)
        let unlocked = try open.unlock()
        let custodian = try Custodian(open.vault, by: unlocked)
        // Before anything that the file names is looked for: a forged one is no damage of the vault.
        try custodian.check(request)
        let reason = try Reason.read(request.note, open.vault, unlocked)
        if kind == .dispose {
            try DisposeArchives.approve(request, reason, open, by: custodian, dryRun: dryRun)
        } else if !dryRun {
            try custodian.carryOut(request)
        }
        let subjects = request.subjects.map(\.hex)
        var report = DecisionReport(
            decision: kind == .dispose ? "dispose" : "release", archives: kind == .dispose ? subjects : [],
            hold: kind == .release ? subjects.first : nil, request: dryRun ? path : nil)
        report.tell(reason)
        return report
    }
}

/// Holds: what keeps archives from being disposed of, whatever a policy says.
package enum HoldArchives {
    package enum Selection {
        case archives([String])
        case policy(String)
        /// Also what is archived later.
        case everything
    }

    package static func add(
        _ selection: Selection, because reason: Reason, at workplace: Workplace
    ) throws -> DecisionReport {
        let open = try OpenVault(workplace)
        var ids: [Digest] = []
        switch selection {
        case .archives(let texts): for text in texts { ids.append(try open.archive(text).id) }
        case .policy(let name):
            ids = try open.headers(all: true).filter { $0.header?.policy == name }.map(\.archive.id)
            guard !ids.isEmpty else {
                throw OperationError(
                    .notFound, "there is no archive of policy \(name)", hint: "`qala archives` lists them.")
            }
        case .everything: break
        }
        let unique = Array(Set(ids)).sorted()
        let custodian = try Custodian(open.vault, by: try open.unlock())
        let hold = try custodian.hold(unique, because: try reason.text())
        return DecisionReport(
            decision: "hold", archives: unique.map(\.hex), hold: hold.hex, reason: reason.reason, basis: reason.basis)
    }

    /// Oldest first; reasons where a key is at hand.
    package static func list(at workplace: Workplace) throws -> [HoldRow] {
        let open = try OpenVault(workplace)
        let unlocked = open.hasKeyAtHand ? try open.unlock() : nil
        return try open.vault.log.holds.map { hold in
            let reason = try unlocked.flatMap { try Reason.read(hold.record.note, open.vault, $0) }
            return HoldRow(
                id: hold.record.id.hex, placed: TimeText.seconds(Int64(clamping: hold.time)),
                released: hold.release.map { TimeText.seconds(Int64(clamping: $0.time)) },
                archives: hold.record.archives.map(\.hex), reason: reason?.reason, basis: reason?.basis)
        }
    }

    /// The first person's part of a release.
    package static func requestRelease(
        _ id: String, because reason: Reason, to path: String, at workplace: Workplace
    ) throws -> DecisionReport {
        let open = try OpenVault(workplace)
        let found = open.vault.log.holds.filter { $0.record.id.hex.hasPrefix(id.lowercased()) }
        guard id.count >= 4, let hold = found.first else {
            throw OperationError(
                .notFound, "there is no hold \(id)",
                hint: "Give 4 digits of its id at least; `qala hold list` shows them.")
        }
        guard found.count == 1 else {
            throw OperationError(.notFound, "\(found.count) holds begin with \(id)", hint: "Give more digits.")
        }
        let custodian = try Custodian(open.vault, by: try open.unlock())
        let request = try custodian.request(.release, [hold.record.id], because: try reason.text())
        try RequestFile.write(request, to: path)
        return DecisionReport(
            decision: "release", hold: hold.record.id.hex, reason: reason.reason, basis: reason.basis, request: path)
    }
}
