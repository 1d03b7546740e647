import Domain

// What the volume commands tell, and what the register keeps: values that are JSON as they stand.

/// What this host knows of one volume.
package struct VolumeRecord: Codable, Sendable {
    /// One archive that lies on the volume.
    package struct Holding: Codable, Sendable {
        package var archive: String
        /// Id of the vault that it was read from.
        package var vault: String
        /// When the archive was made, RFC 3339, UTC.
        package var time: String
        package var policy: String?
        package var host: String?
        package var written: String
        package var entries: Int
        /// Plain bytes of the files.
        package var bytes: Int
        package var sealedBytes: Int
        package var parts: Int
        /// Sockets, which stand in the slice only.
        package var listedOnly: Int
    }

    /// How a volume came to be there no more.
    package struct Gone: Codable, Sendable {
        package enum How: String, Codable, Sendable {
            /// On purpose. It never comes back, and nothing was lost by it.
            case destroyed
            /// It may be found again.
            case lost
        }

        package var how: How
        /// RFC 3339, UTC.
        package var time: String
        package var reason: String
    }

    package var id: String
    package var title: String
    package var created: String
    /// Public key of the list, 64 digits, and its fingerprint as the label shows it.
    package var publicKey: String
    package var fingerprint: String
    package var capacity: Int?
    /// ISO 8601 period.
    package var reverify: String
    /// RFC 3339, UTC: when the next verification is due, and when the last one with the secret passed.
    package var verifyBy: String
    package var verified: String?
    /// Where it lies; nil while somebody has it, and when it is gone.
    package var shelf: String?
    package var holder: String?
    package var archives: [Holding] = []
    /// Nil while it is there.
    package var gone: Gone?

    package var isGone: Bool { gone != nil }

    /// It is there no more: it has neither shelf nor holder.
    mutating func end(_ gone: Gone) {
        self.gone = gone
        shelf = nil
        holder = nil
    }

    func holds(_ archive: String) -> Bool { archives.contains { $0.archive == archive } }
}

extension Sequence<VolumeRecord> {
    /// Archives that were on destroyed volumes and are on no other: they came to their end, because the last one may be
    /// destroyed only when nothing keeps them (``Volumes/destroy(_:because:dryRun:at:)``).
    var endedArchives: Set<String> {
        var (ended, others) = (Set<String>(), Set<String>())
        for record in self {
            let held = record.archives.map(\.archive)
            if record.gone?.how == .destroyed { ended.formUnion(held) } else { others.formUnion(held) }
        }
        return ended.subtracting(others)
    }
}

/// One act in the custody log of a volume.
package struct CustodyEvent: Codable, Sendable {
    /// RFC 3339, UTC.
    package var time: String
    /// `created written verified verificationFailed restored leftVault checkedOut checkedIn destroyed lost`
    package var act: String
    package var detail: String
    /// Number of the account that did it.
    package var account: Int
    /// SHA-256 of the line before; empty in the first.
    package var previous: String

    /// How the detail of a verification begins that opened nothing, for want of the secret.
    static let digestsOnly = "digests only"

    /// Whether everything was opened and found whole.
    var isWholeVerification: Bool { act == "verified" && !detail.hasPrefix(Self.digestsOnly) }

    static let checkedIn = "checkedIn"
    static let verificationFailed = "verificationFailed"

    /// Whether it says that the volume is there, or no more.
    var isOfPresence: Bool { act == Self.checkedIn || VolumeRecord.Gone.How(rawValue: act) != nil }

    /// Whether the volume counts only after a verification that comes later.
    var endsTrust: Bool { act == Self.verificationFailed || VolumeRecord.Gone.How(rawValue: act) != nil }

    /// The act of a volume that keeps archives which leave the vault; written before the log says that they did.
    static let leftVault = "leftVault"

    /// `note`: that of the decision, by which the log tells the archives, and whether it was carried out.
    static func departure(_ note: Digest, of count: Int) -> String { "\(note.hex) (\(count) archives stay here)" }

    /// The note of the decision by which archives left the vault.
    var departureNote: Digest? { act == Self.leftVault ? Digest(hex: detail.prefix(64)) : nil }
}

extension [CustodyEvent] {
    /// How the volume came to be there no more; nil while it is there.
    var gone: VolumeRecord.Gone? {
        guard let last = last(where: \.isOfPresence), let how = VolumeRecord.Gone.How(rawValue: last.act) else {
            return nil
        }
        return VolumeRecord.Gone(how: how, time: last.time, reason: last.detail)
    }

    /// When a volume that was lost was found, where nobody has opened it since. Nil also for one that a verification found bad,
    /// before the loss or after it, and that none found whole since: it is there, and what is on it must be written anew.
    var foundUnverified: String? {
        let open = self[(lastIndex(where: \.isWholeVerification) ?? startIndex)...]
        guard !open.contains(where: { $0.act == CustodyEvent.verificationFailed }),
            let lost = open.lastIndex(where: { $0.act == VolumeRecord.Gone.How.lost.rawValue })
        else { return nil }
        return open[lost...].first { $0.act == CustodyEvent.checkedIn }?.time
    }
}

/// A volume in a list.
package struct VolumeRow: Codable, Sendable {
    /// Where a volume is, and whether it counts.
    package enum State: String, Sendable, CaseIterable {
        case shelf
        /// Somebody has it.
        case out
        /// It was lost, and counts only after its verification; it may be out meanwhile.
        case found
        case lost, destroyed
    }

    package var volume: VolumeRecord
    package var overdue: Bool
    package var custody: [CustodyEvent]

    package var state: State {
        switch volume.gone?.how {
        case .destroyed: .destroyed
        case .lost: .lost
        case nil: custody.foundUnverified != nil ? .found : volume.shelf == nil ? .out : .shelf
        }
    }
}

package struct VolumesReport: Codable, Sendable {
    package var volumes: [VolumeRow]
}

/// What `qala volume create` made.
package struct VolumeCreated: Codable, Sendable {
    package var volume: VolumeRecord
    package var directory: String
    package var secretPath: String
}

/// What `qala volume destroy` or `qala volume lost` recorded, or with a dry run would.
package struct VolumeGone: Codable, Sendable {
    package var id: String
    package var gone: VolumeRecord.Gone
    /// Nil where its record is damaged or missing.
    package var volume: VolumeRecord?
    package var dryRun: Bool
    /// What of the register of the volume is not what was written, and stays as it is: of a loss only.
    package var damage: [VolumeFinding] = []
    /// Archives that are still to be kept and that nothing holds any more: of a loss only.
    package var nowhere: [VolumeRecord.Holding] = []
    /// Why it is not known of all archives whether something else holds them.
    package var unknown: String?
}

/// What `qala volume write` did.
package struct VolumeWritten: Codable, Sendable {
    package var volume: String
    package var dryRun: Bool
    package var written: [VolumeRecord.Holding] = []
    /// Archives that lay on the volume already.
    package var skipped: [String] = []
    package var seconds = 0.0
}

/// One thing that is wrong with a volume, or with a file of its register.
package struct VolumeFinding: Codable, Sendable {
    package var file: String
    package var reason: String
}

/// What `qala volume verify` found.
package struct VolumeVerified: Codable, Sendable {
    package var volume: String
    package var fingerprint: String
    /// Whether the register or the caller knew the key that signed the list.
    package var keyProven: Bool
    package var files = 0
    package var bytes = 0
    /// Archives that were decrypted, decompressed and compared; nil without the secret.
    package var archivesOpened: Int?
    package var decoyFound = false
    package var verifyBy: String?
    package var findings: [VolumeFinding] = []
    package var seconds = 0.0

    /// What is damaged, for people; nil where nothing is.
    package var complaint: String? {
        guard let first = findings.first else { return nil }
        return
            "\(Readable.count(findings.count)) of its files are not what was written; first \(first.file): \(first.reason)"
    }
}

/// One entry of a catalog slice.
package struct SliceRow: Codable, Sendable {
    package var archive: String
    package var kind: String
    package var modified: String
    package var path: String
    package var pathBytes: String?
    package var size: UInt64
    package var stream: String
    package var target: String?
}

/// A volume to fetch for an archive.
package struct PullRow: Codable, Sendable {
    package var volume: String
    package var title: String
    package var shelf: String?
    package var holder: String?
    package var archive: String
    package var stream: String
    package var parts: Int
    /// What was asked for and lies there; empty when the whole archive was asked for.
    package var paths: [String]
}

package struct PullReport: Codable, Sendable {
    package var pull: [PullRow]
    /// Asked for, and on no volume.
    package var missing: [String]
}
