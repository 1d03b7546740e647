/// Something that is wrong and needs a person. An alarm is a condition and not an event: it is told when it begins,
/// again while it lasts, and once more when it is over.
package struct Alarm: Sendable, Hashable, Codable {
    package enum Kind: String, Sendable, CaseIterable, Codable {
        // Of a policy.
        case overdue, damaged, denied, noVault, failed, partial, stuck, paused, nobodyInOffice, termEnds, scheduleEnded
        // Of the log of a database.
        case walNotWhole
        // Of a policy whose archives belong on volumes, and of a volume.
        case volumesDue, volumesOverdue, volumeUnverified, archivesLost
        // Of the host.
        case policiesNotInForce, stateNotKept, lowSpace, undelivered, stateDamaged, notVerified, alarmsNotInForce,
            notServed
        // A folder that could be applied, and was not for a day.
        case policiesProposed
        case timeNotTrusted
        // A database or repository of this host that no policy archives.
        case unplannedSource
        // What happened, and is not over by itself.
        case clockStepped, outage, missedRuns, sourceChanged
    }

    /// How loud it is told; later is louder.
    package enum Level: String, Sendable, CaseIterable, Codable, Comparable {
        case notice, warning, critical

        package static func < (a: Level, b: Level) -> Bool { a.rank < b.rank }

        private var rank: Int {
            switch self {
            case .notice: 0
            case .warning: 1
            case .critical: 2
            }
        }
    }

    package var kind: Kind
    /// A policy, a place or a channel; for what happened, when it did.
    package var subject: String

    package init(_ kind: Kind, _ subject: String) {
        self.kind = kind
        self.subject = subject
    }
}

extension Alarm.Kind {
    /// What endangers data now is louder than what only may.
    package var level: Alarm.Level {
        switch self {
        case .overdue, .damaged, .stateNotKept, .walNotWhole, .archivesLost: .critical
        case .denied, .noVault, .failed, .stuck, .nobodyInOffice, .policiesNotInForce, .lowSpace, .undelivered,
            .stateDamaged, .notVerified, .alarmsNotInForce, .timeNotTrusted, .clockStepped, .volumesOverdue,
            .volumeUnverified:
            .warning
        case .partial, .paused, .termEnds, .scheduleEnded, .notServed, .outage, .missedRuns, .volumesDue,
            .policiesProposed, .unplannedSource, .sourceChanged:
            .notice
        }
    }

    /// Told once and never said to be over.
    package var isEvent: Bool {
        switch self {
        case .clockStepped, .outage, .missedRuns, .sourceChanged: true
        default: false
        }
    }

    /// Seconds for which it must last before anybody is told.
    package var patience: Int64 { self == .paused || self == .policiesProposed ? 86_400 : 0 }

    package func text(in language: Language) -> String {
        switch (self, language) {
        case (.overdue, .english): "no archive within the promised time (RPO)"
        case (.overdue, .azerbaijani): "vəd edilmiş müddətdə (RPO) arxiv yaranmayıb"
        case (.damaged, .english): "damage was found"
        case (.damaged, .azerbaijani): "zədələnmə aşkar edilib"
        case (.denied, .english): "the right or the key to archive is missing"
        case (.denied, .azerbaijani): "arxivləşdirmə hüququ və ya açarı yoxdur"
        case (.noVault, .english): "there is no vault at its place"
        case (.noVault, .azerbaijani): "arxiv anbarı yerində yoxdur"
        case (.failed, .english): "the last run failed"
        case (.failed, .azerbaijani): "sonuncu icra uğursuz olub"
        case (.partial, .english): "the last archive is partial"
        case (.partial, .azerbaijani): "sonuncu arxiv qismən yaradılıb"
        case (.stuck, .english): "the run that is going makes no progress"
        case (.stuck, .azerbaijani): "gedən icra irəliləmir"
        case (.paused, .english): "paused for more than a day"
        case (.paused, .azerbaijani): "bir gündən çoxdur dayandırılıb"
        case (.nobodyInOffice, .english): "the responsible archivist is not in office"
        case (.nobodyInOffice, .azerbaijani): "arxivləşdirməyə məsul şəxsin səlahiyyəti qüvvədə deyil"
        case (.termEnds, .english): "the term of the responsible archivist ends soon"
        case (.termEnds, .azerbaijani): "arxivləşdirməyə məsul şəxsin səlahiyyət müddəti bitmək üzrədir"
        case (.scheduleEnded, .english): "the schedule names no further time"
        case (.scheduleEnded, .azerbaijani): "cədvəldə gələcək vaxt qalmayıb"
        case (.walNotWhole, .english): "the log (WAL) of a database is not taken whole"
        case (.walNotWhole, .azerbaijani): "bazanın WAL jurnalı tam qəbul edilmir"
        case (.volumesDue, .english): "archives are to be written to volumes, and verified there"
        case (.volumesDue, .azerbaijani): "arxivlər oflayn daşıyıcıya yazılmalı və orada yoxlanmalıdır"
        case (.volumesOverdue, .english): "archives should be on volumes by now, and verified there"
        case (.volumesOverdue, .azerbaijani): "arxivlərin oflayn daşıyıcıya yazılması və yoxlanması gecikir"
        case (.volumeUnverified, .english): "the verification of a volume is overdue"
        case (.volumeUnverified, .azerbaijani): "oflayn daşıyıcının təkrar yoxlanması gecikir"
        case (.archivesLost, .english): "archives that are to be kept are on lost volumes only"
        case (.archivesLost, .azerbaijani): "saxlanılmalı olan arxivlər yalnız itirilmiş oflayn daşıyıcılardadır"
        case (.policiesNotInForce, .english): "the policies of the folder are not in force"
        case (.policiesNotInForce, .azerbaijani): "qovluqdakı siyasətlər qüvvəyə minməyib"
        case (.policiesProposed, .english): "the folder of policies differs from what is in force for more than a day"
        case (.policiesProposed, .azerbaijani): "siyasət qovluğu bir gündən çoxdur qüvvədə olandan fərqlənir"
        case (.stateNotKept, .english): "the daemon cannot keep its state"
        case (.stateNotKept, .azerbaijani): "xidmət öz vəziyyətini saxlaya bilmir"
        case (.lowSpace, .english): "little space is left"
        case (.lowSpace, .azerbaijani): "boş yer azdır"
        case (.undelivered, .english): "alarms cannot be delivered"
        case (.undelivered, .azerbaijani): "xəbərdarlıqlar çatdırıla bilmir"
        case (.stateDamaged, .english): "a part of the host's state is damaged or was lost"
        case (.stateDamaged, .azerbaijani): "hostun vəziyyət fayllarının bir hissəsi zədələnib və ya itirilib"
        case (.notVerified, .english): "the verification of a vault could not be done"
        case (.notVerified, .azerbaijani): "arxiv anbarının yoxlanması mümkün olmayıb"
        case (.alarmsNotInForce, .english): "the document of alarms is not in force"
        case (.alarmsNotInForce, .azerbaijani): "xəbərdarlıqlar sənədi qüvvəyə minməyib"
        case (.notServed, .english): "the metrics or the socket for WAL cannot be served"
        case (.notServed, .azerbaijani): "göstəricilər (metrics) və ya WAL soketi təqdim edilə bilmir"
        case (.timeNotTrusted, .english): "vault time is not trusted, so nothing expires"
        case (.timeNotTrusted, .azerbaijani): "anbar vaxtına etibar edilmir, heç nəyin müddəti bitmiş sayılmır"
        case (.unplannedSource, .english): "no policy archives a source of this host"
        case (.unplannedSource, .azerbaijani): "bu hostun mənbəyi heç bir siyasətdə nəzərdə tutulmayıb"
        case (.sourceChanged, .english): "a source of this host changed its version, or is gone"
        case (.sourceChanged, .azerbaijani): "bu hostun mənbəyinin versiyası dəyişib və ya mənbə yoxdur"
        case (.clockStepped, .english): "the clock was set"
        case (.clockStepped, .azerbaijani): "sistem saatı dəyişdirilib"
        case (.outage, .english): "the daemon was down"
        case (.outage, .azerbaijani): "xidmət işləmirdi"
        case (.missedRuns, .english): "due runs were missed"
        case (.missedRuns, .azerbaijani): "vaxtı çatmış icralar buraxılıb"
        }
    }
}

extension Alarm.Level {
    package func name(in language: Language) -> String {
        switch (self, language) {
        case (_, .english): rawValue
        case (.notice, .azerbaijani): "bildiriş"
        case (.warning, .azerbaijani): "xəbərdarlıq"
        case (.critical, .azerbaijani): "böhran"
        }
    }

    /// Seconds after which it is told again while it lasts; nil: not again.
    package var reminder: Int64? {
        switch self {
        case .critical: 3600
        case .warning: 86_400
        case .notice: nil
        }
    }
}
