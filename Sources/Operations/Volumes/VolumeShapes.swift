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

    /// Whether it says that the volume is there, or no more.
    var isOfPresence: Bool { act == "checkedIn" || VolumeRecord.Gone.How(rawValue: act) != nil }

    /// Whether the volume counts only after a verification that comes later.
    var endsTrust: Bool { act == "verificationFailed" || VolumeRecord.Gone.How(rawValue: act) != nil }

    /// The act of a volume that keeps archives which leave the vault; written before the log says that they did.
    static let leftVault = "leftVault"

    /// `note`: that of the decision, by which the log tells the archives, and whether it was carried out.
    static func departure(_ note: Digest, of count: Int) -> String { "\(note.hex) (\(count) archives stay here)" }

    /// The note of the decision by which archives left the vault.
    var departureNote: Digest? { act == Self.leftVault ? Digest(hex: detail.prefix(64)) : nil }
}

/// A volume in a list.
package struct VolumeRow: Codable, Sendable {
    package var volume: VolumeRecord
    package var overdue: Bool
    package var custody: [CustodyEvent]
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
    package var volume: VolumeRecord
    package var dryRun: Bool
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

/// One thing that is wrong with a volume.
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
