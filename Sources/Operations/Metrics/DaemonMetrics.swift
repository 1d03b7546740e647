import Domain

/// What the daemon tells a monitoring system, as one value: rendering it needs no clock and no file. Times are seconds since
/// 1970, lengths of time seconds, amounts bytes.
struct DaemonMetrics: Sendable {
    struct PolicyRow: Sendable {
        var name: String
        var component: String
        /// When the run that was done last began: that is how old its archive is.
        var lastSuccess: Int64?
        /// When the run that was over last ended, whatever became of it.
        var lastRun: Int64?
        var lastDuration: Int64?
        var lastBytes: Int?
        var lastBytesStored: Int?
        var lastFiles: Int?
        var failures = 0
        var isPaused = false
        var nextDue: Int64?
        /// How old the data is that would be lost now.
        var age: Int64?
        var target: Int64?
        /// Of its data sources.
        var points: [RecoveryPoint] = []

        /// By how much the promise is broken; nil where nothing was promised.
        var overdue: Int64? {
            guard let age, let target else { return nil }
            return max(0, age - target)
        }
    }

    struct EndedRow: Sendable {
        var policy: String
        var state: RunRecord.State
        var count: Int
    }

    var version: String
    var started: Int64
    var now: Int64 = 0
    var policies: [PolicyRow] = []
    /// Runs that ended since the daemon started.
    var ended: [EndedRow] = []
    var openProblems: [ProblemKind: Int] = [:]
    var waiting = 0
    var running = 0
    var isPaused = false
    var arePoliciesRefused = false
    var arePoliciesProposed = false
    /// By what lies there: `state`, `vault`.
    var rooms: [(place: String, room: DiskRoom)] = []

    var text: String {
        var out = MetricsText()
        out.family(
            "qala_build_info", .gauge, "Version of the daemon; the value is always 1.",
            [MetricsText.Sample(labels: [("version", version)], value: 1)])
        out.single("qala_start_time_seconds", .gauge, "When the daemon started, since 1970.", Double(started))
        addPolicies(to: &out)
        out.family(
            "qala_source_rpo_seconds", .gauge,
            "Age of the newest state of a data source that could be restored from a place.",
            policies.flatMap { row in
                row.points.compactMap { point in
                    guard let time = point.time else { return nil }
                    let labels = [
                        ("policy", row.name), ("kind", point.kind.rawValue), ("source", point.name),
                        ("place", point.place.rawValue),
                    ]
                    return MetricsText.Sample(labels: labels, value: Double(max(0, now - time)))
                }
            })
        out.family(
            "qala_runs_total", .counter, "Runs that ended since the daemon started, by how they ended.",
            ended.sorted { ($0.policy, $0.state.rawValue) < ($1.policy, $1.state.rawValue) }.map { row in
                MetricsText.Sample(
                    labels: [("policy", row.policy), ("state", row.state.rawValue)], value: Double(row.count))
            })
        out.family(
            "qala_problems_open", .gauge, "Problems of the register that are open.",
            ProblemKind.allCases.map {
                MetricsText.Sample(labels: [("kind", $0.rawValue)], value: Double(openProblems[$0] ?? 0))
            })
        out.single("qala_runs_waiting", .gauge, "Runs whose turn has not come.", Double(waiting))
        out.single("qala_runs_running", .gauge, "Runs that are going, 0 to 2.", Double(running))
        out.single("qala_schedules_paused", .gauge, "Whether all schedules are paused.", isPaused ? 1 : 0)
        out.single(
            "qala_policies_refused", .gauge,
            "Whether the policies of the folder, or those applied last, are not valid.",
            arePoliciesRefused ? 1 : 0)
        out.single(
            "qala_policies_proposed", .gauge, "Whether the folder holds other policies than those in force.",
            arePoliciesProposed ? 1 : 0)
        out.family(
            "qala_filesystem_available_bytes", .gauge, "Room that is left where the state and the vault lie.",
            rooms.map { MetricsText.Sample(labels: [("place", $0.place)], value: Double($0.room.available)) })
        out.family(
            "qala_filesystem_size_bytes", .gauge, "Size of the file systems on which the state and the vault lie.",
            rooms.map { MetricsText.Sample(labels: [("place", $0.place)], value: Double($0.room.size)) })
        return out.text
    }

    private func addPolicies(to out: inout MetricsText) {
        func add(_ name: String, _ help: String, _ measure: (PolicyRow) -> Double?) {
            let samples: [MetricsText.Sample] = policies.compactMap { row in
                guard let value = measure(row) else { return nil }
                return MetricsText.Sample(
                    labels: [("policy", row.name), ("component", row.component)], value: value)
            }
            out.family(name, .gauge, help, samples)
        }
        add("qala_policy_last_success_timestamp_seconds", "Start of the last run that was done, since 1970.") {
            $0.lastSuccess.map { Double($0) }
        }
        add("qala_policy_last_run_timestamp_seconds", "End of the last run, whatever became of it, since 1970.") {
            $0.lastRun.map { Double($0) }
        }
        add("qala_policy_last_run_duration_seconds", "How long the last run took.") {
            $0.lastDuration.map { Double($0) }
        }
        add("qala_policy_last_run_read_bytes", "What the last run archived.") { $0.lastBytes.map { Double($0) } }
        add("qala_policy_last_run_stored_bytes", "What the last run added to the vault.") {
            $0.lastBytesStored.map { Double($0) }
        }
        add("qala_policy_last_run_files", "How many files the last run archived.") { $0.lastFiles.map { Double($0) } }
        add("qala_policy_consecutive_failures", "Scheduled runs that failed in a row.") { Double($0.failures) }
        add("qala_policy_paused", "Whether the schedule of the policy is paused.") { $0.isPaused ? 1 : 0 }
        add("qala_policy_next_due_timestamp_seconds", "When the next run is due, since 1970.") {
            $0.nextDue.map { Double($0) }
        }
        add("qala_rpo_seconds", "Age of the newest whole archive: what a disaster now would lose.") {
            $0.age.map { Double($0) }
        }
        add("qala_rpo_target_seconds", "How much time's worth of data the policy allows to be lost.") {
            $0.target.map { Double($0) }
        }
        add("qala_policy_overdue_seconds", "By how much the age is beyond what the policy allows.") {
            $0.overdue.map { Double($0) }
        }
    }
}
