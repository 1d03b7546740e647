package import Domain

/// One run of a policy under the daemon: what was promised, and what became of it.
package struct RunRecord: Codable, Sendable, Equatable {
    package enum Trigger: String, Codable, Sendable {
        case schedule
        /// Somebody asked for it.
        case request
        /// It was told again from the log of a vault.
        case reconcile
    }

    package enum State: String, Codable, Sendable, CaseIterable {
        /// Its turn has not come.
        case waiting
        case running
        case done
        /// Done, except for paths that could not be read.
        case partial
        case failed
        /// Ended by a person.
        case cancelled
        /// The daemon or the machine went down; what was archived is taken up by the next run of the policy.
        case interrupted

        package var isOver: Bool { self != .waiting && self != .running }
    }

    /// Begins with the time at which it was asked for, so that ids sort by it.
    package var id: String
    package var policy: String
    package var trigger: Trigger
    /// Who asked: `uid N`.
    package var requestedBy: String?
    /// Microseconds since 1970, of the due instant that it answers; nil without one.
    package var due: Int64?
    package var attempt: Int
    /// RFC 3339, UTC, like all times here.
    package var asked: String
    package var started: String?
    package var ended: String?
    package var state: State
    package var archive: String?
    package var files: Int?
    package var bytes: Int?
    package var bytesStored: Int?
    package var problems: Int?
    /// Why it failed or what to do, for people.
    package var message: String?
    /// The kind of a failure.
    package var failure: FailureKind?

    package var identity: RunIdentity? { due.map { RunIdentity(policy: policy, due: $0, attempt: attempt) } }

    /// Whether `id` can be the id of a run: it becomes a file name.
    package static func isWellFormed(id: String) -> Bool {
        !id.isEmpty && id.utf8.count <= 40
            && id.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x2D
            }
    }
}

extension RunRecord.State {
    package func name(in language: Language) -> String {
        switch (self, language) {
        case (_, .english): rawValue
        case (.waiting, .azerbaijani): "növbədə"
        case (.running, .azerbaijani): "icra olunur"
        case (.done, .azerbaijani): "tamamlandı"
        case (.partial, .azerbaijani): "qismən"
        case (.failed, .azerbaijani): "uğursuz"
        case (.cancelled, .azerbaijani): "ləğv edildi"
        case (.interrupted, .azerbaijani): "yarımçıq"
        }
    }
}

/// What the daemon tells of itself.
package struct DaemonStatus: Codable, Sendable {
    package struct PolicyRow: Codable, Sendable {
        package var name: String
        package var component: String
        package var isPaused: Bool
        /// Failures in a row.
        package var failures: Int
        /// When the next run is due, RFC 3339; nil without a schedule or with none to come.
        package var next: String?
        package var last: RunRecord?
        /// Up to when its data sources could be brought back; nil from a daemon that does not tell.
        package var points: [PointRow]?

        package init(
            name: String, component: String, isPaused: Bool, failures: Int, next: String?, last: RunRecord?,
            points: [PointRow]? = nil
        ) {
            self.name = name
            self.component = component
            self.isPaused = isPaused
            self.failures = failures
            self.next = next
            self.last = last
            self.points = points
        }
    }

    /// Up to when a data source could be brought back from a place.
    package struct PointRow: Codable, Sendable {
        package var kind: String
        package var name: String
        package var place: RecoveryPoint.Place
        /// RFC 3339, UTC; nil where nothing is held.
        package var time: String?
        /// Seconds since then: what would be lost now, where it is measured.
        package var age: Int?
        package var isMeasured: Bool

        init(_ point: RecoveryPoint, at now: Int64) {
            kind = point.kind.rawValue
            name = point.name
            place = point.place
            time = point.time.map(TimeText.seconds)
            age = point.time.map { Int(clamping: max(0, now - $0)) }
            isMeasured = point.measuredSince != nil
        }
    }

    /// How far the run is that is going.
    package struct Going: Codable, Sendable {
        package var run: RunRecord
        package var files: Int
        package var bytes: Int
        package var bytesStored: Int
        package var expectedBytes: Int
    }

    package var version: String
    package var processID: Int32
    package var started: String
    package var policyFolder: String
    /// The applied version that is in force.
    package var policyVersion: Int?
    package var isPaused: Bool
    package var going: Going?
    /// The one that goes beside it, where two are going.
    package var beside: Going?
    package var waiting: [RunRecord]
    package var policies: [PolicyRow]
    /// Why what was applied last is not in force, and why the folder, a proposal, cannot be applied; else empty.
    package var policyProblems: [String]
    /// Whether the folder holds another set than the one in force, which could be applied.
    package var folderDiffers: Bool
    package var openProblems: OpenProblems?
}

/// Something that happened, for the journal and for `qala logs`.
package struct DaemonEvent: Codable, Sendable {
    /// As syslog counts, so that the journal filters by it.
    package enum Severity: Int, Codable, Sendable {
        case error = 3
        case warning = 4
        case notice = 5
        case info = 6
    }

    package var time: String
    package var severity: Severity
    package var policy: String?
    package var run: String?
    package var message: String
}
