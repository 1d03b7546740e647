/// What went wrong, as the register of problems tells it apart. Raw values stand in registers and metrics for good.
package enum ProblemKind: String, Sendable, CaseIterable, Codable {
    /// A run failed.
    case failed
    /// A run left out paths that could not be read.
    case partial
    /// Due runs were not made, or not in time.
    case missed
    /// The policies of the folder are not the ones in force.
    case policies
    /// Stored bytes are not what was stored.
    case damage
    /// The log of a database is not taken, contradicts itself or has a gap.
    case wal
    /// The clock of the machine was set, or time that cannot be accounted for has passed.
    case clock

    /// Those that a run of the policy which passes answers.
    package static let ofRuns: [ProblemKind] = [.failed, .partial, .missed, .damage]

    package func name(in language: Language) -> String {
        switch (self, language) {
        case (.failed, .english): "failed run"
        case (.failed, .azerbaijani): "uğursuz icra"
        case (.partial, .english): "partial run"
        case (.partial, .azerbaijani): "natamam icra"
        case (.missed, .english): "missed run"
        case (.missed, .azerbaijani): "buraxılmış icra"
        case (.policies, .english): "policies not in force"
        case (.policies, .azerbaijani): "siyasət sənədləri qüvvədə deyil"
        case (.damage, .english): "damage"
        case (.damage, .azerbaijani): "zədə"
        case (.wal, .english): "WAL not whole"
        case (.wal, .azerbaijani): "WAL jurnalı tam deyil"
        case (.clock, .english): "clock not to be trusted"
        case (.clock, .azerbaijani): "saata etibar edilmir"
        }
    }
}

/// One row of the register of problems: everything that was told of it, folded together.
package struct Problem: Sendable, Equatable, Codable {
    package struct Remark: Sendable, Equatable, Codable {
        package var time: String
        package var by: String
        package var text: String

        package init(time: String, by: String, text: String) {
            self.time = time
            self.by = by
            self.text = text
        }
    }

    /// So many ids of runs are kept of a problem, the newest; the register of runs has all.
    package static let keptRuns = 20

    /// From 1, in the order in which problems were opened.
    package var id: Int
    package var kind: ProblemKind
    /// Empty where it is about none alone.
    package var policy: String
    /// RFC 3339, UTC, like all times here.
    package var opened: String
    package var lastSeen: String
    package var times: Int
    /// What was told last.
    package var message: String
    package var runs: [String]
    package var closed: String?
    /// The run that passed; empty where a check that passed was no run.
    package var closedBy: String?
    package var remarks: [Remark]

    package var isOpen: Bool { closed == nil }
}
