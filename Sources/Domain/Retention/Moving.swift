// `mode: move`: which originals may go, decided from facts alone (docs/move.md).
//
// 1. Whatever is not known keeps the original.
// 2. Age is that of the archive, by vault time; dates of files, which their owners set, make nothing old enough.
// 3. An archive for whose files originals have gone is kept as long as the policy keeps anything, from the removal on.

/// What has to happen before the originals of an archive may be removed.
package enum MoveWait: Sendable, Hashable {
    /// The clock jumped.
    case time
    case hold(String)
    /// The period in the active tier; nil while its end is not known.
    case period(until: Int64?)
    /// There is no copy at the site that is known of.
    case copy(String)
    case verification(String)
    /// So many more verified volumes.
    case volumes(Int)
    /// Something of the source was not archived.
    case partial

    /// For programs.
    package var word: String {
        switch self {
        case .time: "time"
        case .hold(let id): "hold \(id)"
        case .period(let end): end.map { "period \($0)" } ?? "period"
        case .copy(let site): "copy \(site)"
        case .verification(let site): "verify \(site)"
        case .volumes(let count): "volumes \(count)"
        case .partial: "whole"
        }
    }

    package func text(in language: Language) -> String {
        switch (self, language) {
        case (.time, .english): "vault time is not trusted"
        case (.time, .azerbaijani): "anbarın vaxtı etibarlı deyil"
        case (.hold(let id), .english): "hold \(id.prefix(12)) covers it"
        case (.hold(let id), .azerbaijani): "\(id.prefix(12)) hüquqi saxlaması onu əhatə edir"
        case (.period(let end?), .english): "its period in the active system ends at \(UTCDate.text(end))"
        case (.period(let end?), .azerbaijani): "aktiv sistemdə müddəti \(UTCDate.text(end)) tarixində bitir"
        case (.period(nil), .english): "its period in the active system is not over"
        case (.period(nil), .azerbaijani): "aktiv sistemdə müddəti bitməyib"
        case (.copy(let site), .english): "waits for site \(site), which has no copy yet"
        case (.copy(let site), .azerbaijani): "\(site) mərkəzi gözlənilir: orada hələ nüsxə yoxdur"
        case (.verification(let site), .english): "waits for site \(site), where it was not read back yet"
        case (.verification(let site), .azerbaijani): "\(site) mərkəzi gözlənilir: orada hələ yoxlanmayıb"
        case (.volumes(let count), .english): "waits for \(count) more verified volumes"
        case (.volumes(let count), .azerbaijani): "daha \(count) yoxlanmış daşıyıcı gözlənilir"
        case (.partial, .english): "it is partial"
        case (.partial, .azerbaijani): "yarımçıqdır"
        }
    }
}

/// What tells whether a file is the one that was archived, and as it was.
package struct OriginalStamp: Sendable, Equatable {
    package var kind: EntryKind?
    package var device: UInt64
    package var inode: UInt64
    package var size: UInt64
    package var modified: Timestamp
    package var changed: Timestamp
    package var linkCount: UInt32

    package init(
        kind: EntryKind?, device: UInt64, inode: UInt64, size: UInt64, modified: Timestamp, changed: Timestamp,
        linkCount: UInt32
    ) {
        self.kind = kind
        self.device = device
        self.inode = inode
        self.size = size
        self.modified = modified
        self.changed = changed
        self.linkCount = linkCount
    }

    package init(_ entry: Entry) {
        self.init(
            kind: entry.kind, device: entry.device, inode: entry.inode, size: entry.size, modified: entry.modified,
            changed: entry.changed, linkCount: entry.linkCount)
    }

    /// Whether it is the same file after it was renamed, which changes nothing but the time of change.
    package func isSame(as other: OriginalStamp) -> Bool {
        var renamed = self
        renamed.changed = other.changed
        return renamed == other
    }
}

/// Why an original stays although its archive would let it go.
package enum StayReason: String, Sendable, CaseIterable, Codable {
    case changed, replaced, linked, notFile, recent, differs, openForWriting
    case excluded, otherFileSystem, otherPolicy, followed
    /// Of a database or a repository that a policy archives through its program.
    case dataSource
    /// The system refused something.
    case refused
    /// The path is too long for the register.
    case longPath

    /// Nil when the file may go as far as its stamp tells. `clock` is the machine's time: stamps as young as its grain
    /// prove nothing, and neither do those ahead of it.
    package static func of(
        archived: OriginalStamp, changedWhileRead: Bool, now: OriginalStamp, clock: Timestamp
    ) -> StayReason? {
        guard now.kind == .file, archived.kind == .file else { return .notFile }
        guard now.device == archived.device, now.inode == archived.inode else { return .replaced }
        guard now.linkCount == 1, archived.linkCount <= 1 else { return .linked }
        guard !changedWhileRead, now.size == archived.size, now.modified == archived.modified,
            now.changed == archived.changed
        else { return .changed }
        let (age, overflow) = clock.seconds.subtractingReportingOverflow(now.changed.seconds)
        return overflow || age <= Self.youngest ? .recent : nil
    }

    /// Seconds.
    private static let youngest: Int64 = 2

    package func text(in language: Language) -> String {
        let both = texts
        return language == .azerbaijani ? both.az : both.en
    }

    private var texts: (en: String, az: String) {
        switch self {
        case .changed: ("it has changed since it was archived", "arxivləşdirildikdən sonra dəyişib")
        case .replaced: ("another file has its place", "yerində başqa fayl var")
        case .linked: ("it has further names (hard links)", "başqa adları da var (sərt keçidlər)")
        case .notFile: ("it is not a regular file any more", "artıq adi fayl deyil")
        case .recent: ("it was changed a moment ago", "elə indicə dəyişib")
        case .differs: ("its bytes are not those in the archive", "baytları arxivdəkindən fərqlidir")
        case .openForWriting: ("somebody has it open for writing", "kimsə onu yazmaq üçün açıb")
        case .excluded: ("the policy excludes it", "siyasət onu istisna edir")
        case .otherFileSystem: ("it is on another file system", "başqa fayl sistemindədir")
        case .otherPolicy: ("another policy archives it too", "onu başqa siyasət də arxivləşdirir")
        case .followed: ("it is a log that a policy follows", "siyasətin izlədiyi loqdur")
        case .dataSource:
            (
                "it belongs to a database or a repository that a policy archives",
                "siyasətin arxivləşdirdiyi verilənlər bazasına və ya depoya aiddir"
            )
        case .refused: ("the system refused it", "sistem imtina etdi")
        case .longPath: ("its path is too long for the register", "yolu reyestr üçün çox uzundur")
        }
    }
}

/// How many originals left the active system on the word of one archive.
package struct MovedFiles: Sendable, Equatable {
    package var count: Int
    /// The first instant at which they need not be kept any more, seconds since 1970; nil for never.
    package var end: Int64?

    package init(count: Int, end: Int64?) {
        self.count = count
        self.end = end
    }
}

extension Policy {
    /// How long what was moved at `instant` is kept: for the longest period that the policy gives; nil for ever, also
    /// where it gives none.
    package func keepsMoved(from instant: Int64) -> Int64? {
        let terms = [retention?.keepFor, tiers[.online]?.keep, tiers[.offline]?.keep].compactMap(\.self)
        var last: Int64?
        for term in terms {
            guard let end = term.end(from: instant) else { return nil }
            last = max(last ?? end, end)
        }
        return last
    }
}
