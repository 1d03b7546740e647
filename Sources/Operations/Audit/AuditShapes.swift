import Domain

/// One entry of the audit log, as it stands there.
package struct AuditRow: Codable, Sendable {
    package var number: UInt64
    /// RFC 3339 to the millisecond, UTC, by the clock of the host.
    package var time: String
    package var actor: String
    package var operation: String
    package var subject: String
    package var outcome: String
    package var details: [String: String]
    package var run: String
    /// The line of the spool that it was taken over from; empty for what the daemon recorded itself.
    package var via: String
}

/// A part of the entries.
package struct AuditPage: Codable, Sendable {
    package var entries: [AuditRow]
    /// The number from which the rest goes on; nil where this was all.
    package var next: UInt64?
}

/// Entries of the log that are not what was signed.
package struct AuditFindingRow: Codable, Sendable {
    package var kind: String
    package var first: UInt64
    package var count: UInt64
    /// What is wrong and where, in the language that was asked for.
    package var text: String
}

/// What verifying the whole log found.
package struct AuditCheck: Codable, Sendable {
    package var origin: String
    package var key: String
    /// Entries under the newest checkpoint, and entries after it.
    package var entries: UInt64
    package var recent: UInt64
    package var root: String
    /// Bytes at the end that a power cut tore.
    package var torn: UInt64
    /// Size of the checkpoint from elsewhere that it was compared with.
    package var comparedWith: UInt64?
    package var findings: [AuditFindingRow]
    /// Findings beyond those listed.
    package var omitted: Int
    /// Why acts that wait in the spool could not be taken over before.
    package var notTakenOver: String?
}

/// What a pack proves.
package struct AuditPackCheck: Codable, Sendable {
    package var origin: String
    package var first: UInt64
    package var count: UInt64
    /// Entries under the checkpoint of the pack.
    package var size: UInt64
    package var key: String
    /// Whether the key was compared with one from elsewhere: without, the pack only agrees with itself.
    package var isTrusted: Bool
    /// Size of the earlier checkpoint that it continues.
    package var since: UInt64?
}

/// That an entry is in the log, for somebody who has neither the log nor Qala: `docs/audit.md` §3 says how it is checked.
package struct AuditProof: Codable, Sendable {
    package var origin: String
    package var key: String
    package var number: UInt64
    /// The line of the entry, without its LF.
    package var entry: String
    /// Entries under the checkpoint.
    package var size: UInt64
    /// Base64, like `root` and `path`.
    package var leaf: String
    package var root: String
    /// The audit path of RFC 6962, leaf to root.
    package var path: [String]
    /// The signed note.
    package var checkpoint: String
}

package struct AuditCheckpointReport: Codable, Sendable {
    package var origin: String
    package var size: UInt64
    package var root: String
    /// The signed note, byte for byte.
    package var note: String
}

package struct AuditExportReport: Codable, Sendable {
    package var pack: String
    package var origin: String
    package var first: UInt64
    package var count: UInt64
    package var size: UInt64
    package var since: UInt64?
}

package struct AuditKeyReport: Codable, Sendable {
    package struct OlderRow: Codable, Sendable {
        package var key: String
        /// The size of the log up to which its signature counts.
        package var upTo: UInt64
    }

    package var origin: String
    package var key: String
    package var older: [OlderRow]
    package var renewed: Bool
}
