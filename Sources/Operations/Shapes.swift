import Domain
import FoundationEssentials

/// Paths of trees are bytes, and JSON is text: beside a `path` that is not UTF-8, and is shown with replacement
/// characters, `pathBytes` has its bytes.
enum PathBytes {
    /// `/` and the stored path in base64; nil where the text tells all.
    static func base64(stored path: [UInt8]) -> String? { base64([0x2F] + path) }

    static func base64(_ bytes: [UInt8]) -> String? {
        String(validating: bytes, as: UTF8.self) == nil ? Data(bytes).base64EncodedString() : nil
    }
}

/// A path that an operation could not handle, and why; part of every report.
package struct PathProblem: Codable, Sendable, Equatable {
    package var path: String
    /// See ``PathBytes``.
    package var pathBytes: String?
    package var reason: String
    package init(path: String, reason: String) {
        self.path = path
        self.reason = reason
    }

    init(stored path: [UInt8], reason: String) {
        self.init(path: "/" + String(decoding: path, as: UTF8.self), reason: reason)
        pathBytes = PathBytes.base64(stored: path)
    }
}

/// What `qala init` made.
package struct InitReport: Codable, Sendable {
    package var vault: String
    package var vaultID: String
    package var suite: String
    package var writeOnlyHost: Bool
    /// Where the recovery kit was written; nil when its text is for the terminal only.
    package var kitPath: String?
}

/// What an archive run did. `archive` is nil for a dry run.
package struct ArchiveReport: Codable, Sendable {
    package var archive: String?
    package var policy: String?
    package var files = 0
    package var directories = 0
    package var others = 0
    package var bytes = 0
    /// Files whose content was read in this run; the others were unchanged since the archive before.
    package var filesRead = 0
    package var bytesRead = 0
    /// Plain bytes that no earlier chunk held.
    package var bytesNew = 0
    /// Sealed bytes written to the vault.
    package var bytesStored = 0
    package var excluded = 0
    /// Files that changed while they were read: archived, but perhaps a mix of two states.
    package var changed: [PathProblem] = []
    /// Paths that could not be archived; the run is partial when there are any.
    package var problems: [PathProblem] = []
    package var problemCount = 0
    package var changedCount = 0
    /// What else went wrong, such as a hook after the run.
    package var warnings: [String] = []
    package var resumed = false
    package var seconds = 0.0
    package var isPartial: Bool { problemCount > 0 || !warnings.isEmpty }

    /// What went wrong, for people; nil where nothing did.
    package var complaint: String? {
        guard let first = problems.first else { return warnings.first }
        let paths = problemCount == 1 ? "1 path" : "\(problemCount) paths"
        return "\(paths) could not be archived; first \(first.path): \(first.reason)"
    }
    package init() {}
}

/// One archive in a list.
package struct ArchiveRow: Codable, Sendable {
    package var id: String
    /// RFC 3339, UTC; when the run finished.
    package var time: String
    package var policy: String?
    package var component: String?
    package var host: String?
    package var roots: [String]
    /// Nil where the archive's header could not be read for want of a key.
    package var files: Int?
    package var bytes: Int
    package var entries: Int
    package var partial: Bool
    /// When it was disposed of, RFC 3339, UTC; nil while it can be read.
    package var disposed: String?
    /// When it left the vault for the volumes that keep it, and where those are.
    package var left: String?
    package var volumes: [FoundRow.VolumePlace]?
}

/// One entry in a listing, a search or a comparison.
package struct EntryRow: Codable, Sendable {
    package var path: String
    /// See ``PathBytes``.
    package var pathBytes: String?
    /// `file directory symlink fifo socket characterDevice blockDevice`
    package var kind: String
    package var size: Int
    package var mode: String
    package var user: String
    package var group: String
    /// RFC 3339 with nanoseconds, UTC.
    package var modified: String
    package var target: String?
    /// Like `pathBytes`.
    package var targetBytes: String?
}

/// One version of a path found by name.
package struct FoundRow: Codable, Sendable {
    /// A volume, and the shelf on which it lies or who has it.
    package struct VolumePlace: Codable, Sendable {
        package var volume: String
        package var title: String
        package var shelf: String?
        package var holder: String?

        init(_ record: VolumeRecord) {
            volume = record.id
            title = record.title
            shelf = record.shelf
            holder = record.holder
        }

        /// Of one that the register does not know.
        init(unregistered id: String) {
            volume = id
            title = ""
        }
    }

    package var path: String
    /// See ``PathBytes``.
    package var pathBytes: String?
    package var kind: String
    package var size: Int
    package var modified: String
    /// Newest archive that holds this version.
    package var archive: String
    package var archiveTime: String
    /// First archive that holds this version.
    package var firstArchive: String
    /// Number of archives that hold this version.
    package var archives: Int
    package var policy: String?
    /// Where no archive of the vault holds this version: the volumes that hold the newest one that did.
    package var volumes: [VolumePlace]?
}

/// One difference between two archives: `+` only in the second, `-` only in the first, `M` content, `A` attributes, `T` kind.
package struct DifferenceRow: Codable, Sendable {
    package var change: String
    package var path: String
    /// See ``PathBytes``.
    package var pathBytes: String?
    package var sizeBefore: Int?
    package var sizeAfter: Int?
}

package struct RestoreReport: Codable, Sendable {
    package var archive = ""
    /// Id of the volume that it came from; nil where that was the vault.
    package var volume: String?
    package var target = ""
    package var files = 0
    package var directories = 0
    package var others = 0
    package var bytes = 0
    package var skipped = 0
    /// What exists in the target where something is to be restored, as far as that was foretold.
    package var inTheWay = 0
    package var ownershipNotSet = 0
    package var verified = 0
    package var problems: [PathProblem] = []
    package var problemCount = 0
    /// Files among the problems that the vault holds damaged.
    package var damaged = 0
    package var dryRun = false
    package var seconds = 0.0
    /// Of a cluster that goes on to a moment after that of its archive.
    package var recovery: PointInTime.Report?
    /// Of a restore into a directory that held the cluster already.
    package var delta: DeltaReport?
    /// Of a server whose binary logs were replayed.
    package var replay: LogReplay.Report?
    package var isPartial: Bool { problemCount > 0 || ownershipNotSet > 0 }
    package init() {}
}

/// What a restore found in a directory that held much of it already; with a dry run, what it would change there.
package struct DeltaReport: Codable, Sendable {
    package struct Change: Codable, Sendable, Equatable {
        package enum What: String, Codable, Sendable {
            /// It was there and held something else.
            case changed
            case missing
            /// It was there and is not in the archive.
            case removed
        }

        package var path: String
        /// See ``PathBytes``.
        package var pathBytes: String?
        package var what: What

        init(stored path: [UInt8], _ what: What) {
            self.path = "/" + String(decoding: path, as: UTF8.self)
            pathBytes = PathBytes.base64(stored: path)
            self.what = what
        }
    }

    /// Files whose content was right.
    package var kept = 0
    package var changed = 0
    package var missing = 0
    package var removed = 0
    /// What files that were there got anew.
    package var bytesWritten = 0
    /// The first thousand.
    package var changes: [Change] = []
    package var changeCount: Int { changed + missing + removed }
}

package struct VerifyReport: Codable, Sendable {
    /// `digests` (without keys), `structure`, `sample` (structure, and the data of some packs), or `data`.
    package var depth = ""
    /// Whether the vault could be opened; where not, there is nothing but the damage that says why.
    package var opened = true
    package var archives = 0
    package var records = 0
    package var packs = 0
    package var chunks = 0
    /// Packs whose data a sample read; nil where it was no sample.
    package var packsRead: Int?
    package var chunksRead = 0
    package var bytesRead = 0
    package var head = ""
    /// Whether the log was compared with a head that this host had pinned before.
    package var freshnessProven = false
    /// Whether the trees of the archives were walked, for which a key is needed.
    package var treesRead = false
    package var damage: [DamageRow] = []
    /// What to do about this damage, where it is not what one does about damage in general.
    package var advice: String?
    package var seconds = 0.0
    package init() {}

    /// What is damaged, for people; nil where nothing is.
    package var complaint: String? {
        guard let first = damage.first else { return nil }
        let objects = damage.count == 1 ? "1 object is damaged" : "\(damage.count) objects are damaged"
        return "\(objects); first \(first.object): \(first.reason)"
    }
}

package struct DamageRow: Codable, Sendable, Equatable {
    package var object: String
    package var reason: String
    package init(object: String, reason: String) {
        self.object = object
        self.reason = reason
    }
}

package struct KeyRow: Codable, Sendable {
    package var id: String
    /// `passphrase file kit`
    package var kind: String
    package var label: String
    package var created: String
    package var administrator: Bool
}

package struct VaultStats: Codable, Sendable {
    package var vaultID = ""
    package var archives = 0
    package var records = 0
    package var sessions = 0
    package var packs = 0
    package var packBytes = 0
    package var chunks = 0
    package var segments = 0
    package var readers = 0
    package var writers = 0
    package var plainBytes = 0
    package var head = ""
    package init() {}
}
