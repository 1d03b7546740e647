package import Operations

// What is asked of a daemon and answered, over its control socket now and over the network later: HTTP/1.1, JSON, the
// errors of `ErrorBody` with the status of the one table.

package enum ControlPath {
    package static let status = "/v1/status"
    package static let runs = "/v1/runs"
    package static let pause = "/v1/pause"
    package static let resume = "/v1/resume"
    package static let reload = "/v1/reload"
    package static let events = "/v1/events"
    package static let alarms = "/v1/alarms"
    package static let alarmTest = "/v1/alarms/test"
    package static func run(_ id: String) -> String { "/v1/runs/\(id)" }
    package static func cancel(_ id: String) -> String { "/v1/runs/\(id)/cancel" }

    /// Of lists; more is cut to it.
    package static let longestList = 1000
}

/// A policy that is meant; nil means all where that makes sense.
package struct PolicyAsked: Codable, Sendable {
    package var policy: String?
    package init(policy: String?) { self.policy = policy }
}

package struct RunListReply: Codable, Sendable {
    package var runs: [RunRecord]
    package init(runs: [RunRecord]) { self.runs = runs }
}

package struct RunReply: Codable, Sendable {
    package var run: RunRecord
    package init(run: RunRecord) { self.run = run }
}

package struct AlarmsReply: Codable, Sendable {
    package var alarms: [AlarmRow]
    package init(alarms: [AlarmRow]) { self.alarms = alarms }
}

/// A channel that is meant; nil means all.
package struct ChannelAsked: Codable, Sendable {
    package var channel: String?
    package init(channel: String?) { self.channel = channel }
}

package struct AlarmTestReply: Codable, Sendable {
    package var channels: [AlarmTestRow]
    package init(channels: [AlarmTestRow]) { self.channels = channels }
}

package struct EventsReply: Codable, Sendable {
    package var events: [DaemonEvent]
    package init(events: [DaemonEvent]) { self.events = events }
}
