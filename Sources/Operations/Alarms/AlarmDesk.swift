package import Domain
import FoundationEssentials
import Glibc
import Synchronization
package import Vault

/// Keeps the book of alarms over restarts and sees to it that what is told arrives.
///
/// Invariants:
/// 1. What is to be told is stored before it is sent: a daemon that is killed tells it after its start. It may arrive twice
///    then, never not at all, unless nobody could be reached for ``keptSeconds``.
/// 2. Sending never holds up the daemon: one thread at a time does it, and the channels do not wait for each other's
///    repetitions.
/// 3. A channel that cannot be reached becomes an alarm itself, for the others.
///
/// SAFETY: all mutable state is touched inside `monitor.locked`.
package final class AlarmDesk: @unchecked Sendable {
    /// Of notices that nobody could be brought, the newest are kept.
    private static let outboxLimit = 1000
    private static let keptSeconds: Int64 = 3 * 86_400
    private static let troubledAfter = 3
    private static let fileLimit = 64 << 20
    private static let eventSeconds: Int64 = 86_400
    /// Of what happens again and again, the first are told.
    private static let eventLines = 20
    /// Seconds between two attempts at most.
    private static let longestWait: Int64 = 3600

    private struct Waiting: Codable, Sendable {
        var channel: String
        var message: AlarmDelivery.Message
        var tries = 0
        var notBefore: Int64
        var reason = ""
    }

    private struct Kept: Codable {
        var book = AlarmBook()
        var outbox: [Waiting] = []
        var events: [AlarmWatch.Event] = []
        /// When the daemon was last known to live.
        var alive: Int64?

        /// Whether its numbers are such as are stored, and so can be reckoned with.
        var isPlausible: Bool {
            var times = events.map(\.time) + [alive ?? 0]
            for waiting in outbox {
                times += [waiting.notBefore, waiting.message.notice.time, waiting.message.notice.since]
            }
            return book.isPlausible && times.allSatisfy { AlarmBook.times.contains($0) }
                && outbox.allSatisfy { AlarmBook.counts.contains($0.tries) }
        }
    }

    /// What failed of a trial, by channel.
    private final class Failures: Sendable {
        let found = Mutex<[String: String]>([:])
    }

    private let path: String
    private let calls: any FileSystemCalls
    private let monitor = Monitor()
    private var kept = Kept()
    private var settings = AlarmSettings.none
    private var pinged: Int64?
    /// How often in a row the monitor elsewhere was not reached, and why.
    private var pingFailures: (count: Int, reason: String) = (0, "")
    private let stopping = InterruptFlag()
    private var thread: WorkerThread?
    private var isSending = false
    /// Why the book cannot be stored; nil when it can.
    private var problem: String?

    /// What lies under `path` from before counts; where it cannot be read, the book is begun anew.
    package init(path: String, calls: any FileSystemCalls = LinuxCalls.shared) {
        self.path = path
        self.calls = calls
        if let bytes = try? StateFile.read(path, limit: Self.fileLimit),
            let found = try? JSONDecoder().decode(Kept.self, from: Data(bytes)), found.isPlausible
        {
            kept = found
        }
    }

    deinit { thread?.join() }

    package func use(_ settings: AlarmSettings) {
        monitor.locked {
            self.settings = settings
            let names = Set(settings.channels.map(\.name))
            kept.outbox.removeAll { !names.contains($0.channel) }
            if settings.deadMan == nil { pingFailures = (0, "") }
        }
    }

    /// When the daemon was last known to live, before this start; nil when it never was, or stopped in good order.
    package func lastAlive() -> Int64? { monitor.locked { kept.alive } }

    /// Takes note of what happened; it is told with the next ``update(_:responsible:at:)``. What happens again within
    /// ``AlarmBook/restSeconds`` joins what was told: a policy that misses every run sends no letter for each.
    package func note(_ event: AlarmWatch.Event) {
        monitor.locked {
            if let at = kept.events.lastIndex(where: { $0.alarm.kind == event.alarm.kind }),
                (0..<AlarmBook.restSeconds).contains(event.time - kept.events[at].time)
            {
                let lines = kept.events[at].detail.split(separator: "\n")
                if lines.count < Self.eventLines { kept.events[at].detail += "\n" + event.detail }
                return
            }
            kept.events.append(event)
            if kept.events.count > 100 { kept.events.removeFirst(kept.events.count - 100) }
        }
    }

    /// That of what is told.
    var language: Language { monitor.locked { settings.language } }
    package var open: [AlarmBook.Open] { monitor.locked { kept.book.open } }
    package var storeProblem: String? { monitor.locked { problem } }

    /// Channels that could not be reached several times in a row, and why.
    package var troubled: [String: String] {
        monitor.locked {
            var found: [String: String] = [:]
            for waiting in kept.outbox where waiting.tries >= Self.troubledAfter {
                found[waiting.channel] = waiting.reason
            }
            if pingFailures.count >= Self.troubledAfter { found["dead-man"] = pingFailures.reason }
            return found
        }
    }

    /// Tells what is new about `watch`, and starts to send it. Call it about every ten seconds.
    /// `responsible` names who answers for a policy.
    @discardableResult
    package func update(
        _ watch: AlarmWatch, responsible: (String) -> [String], at now: Int64
    ) -> [AlarmNotice] {
        let troubled = troubled
        let notices: [AlarmNotice] = monitor.locked {
            kept.events.removeAll { now - $0.time > Self.eventSeconds || $0.time > now + Self.eventSeconds }
            var watch = watch
            watch.events += kept.events
            watch.undelivered = troubled
            let before = kept.book.open.map(\.alarm)
            let notices = kept.book.update(watch.alarms(at: now), at: now)
            let host = settings.host ?? Self.hostName
            for notice in notices {
                let message = AlarmDelivery.Message(
                    notice: notice, title: notice.title(in: settings.language, host: host),
                    body: notice.body(
                        in: settings.language, host: host, responsible: responsible(notice.alarm.subject)), host: host)
                for channel in settings.channels where channel.takes(notice) {
                    kept.outbox.append(Waiting(channel: channel.name, message: message, notBefore: now))
                }
            }
            kept.outbox.removeAll { now - $0.message.notice.time > Self.keptSeconds }
            if kept.outbox.count > Self.outboxLimit {
                kept.outbox.removeFirst(kept.outbox.count - Self.outboxLimit)
            }
            let isStale = kept.alive.map { now - $0 >= 60 || $0 > now } ?? true
            // What could not be stored is tried again at once: the alarm of that ends when it can.
            if isStale || problem != nil || !notices.isEmpty || kept.book.open.map(\.alarm) != before {
                kept.alive = now
                store()
            }
            return notices
        }
        send(at: now)
        return notices
    }

    /// An orderly end: nothing was down. What is being sent is broken off, and sent after the next start.
    package func stop() {
        stopping.set()
        let last: WorkerThread? = monitor.locked {
            kept.alive = nil
            store()
            defer { thread = nil }
            return thread
        }
        last?.join()
    }

    /// Sends a trial to one channel or to all, at once; returns what failed, by channel.
    package func test(_ name: String?, at now: Int64) throws -> [(channel: String, failure: String?)] {
        let (settings, host) = monitor.locked { (self.settings, self.settings.host ?? Self.hostName) }
        let chosen = settings.channels.filter { name == nil || $0.name == name }
        guard !chosen.isEmpty else {
            throw OperationError(
                .notFound, name.map { "there is no channel \($0)" } ?? "there are no channels for alarms",
                hint: "The document of alarms names them; see docs/alarms.md.")
        }
        let notice = AlarmNotice(
            event: .cleared, alarm: Alarm(.undelivered, "test"), detail: "", since: now, time: now, count: 1)
        let text = settings.language == .english ? "This is a test." : "Bu, sınaqdır."
        let message = AlarmDelivery.Message(
            notice: notice, title: "[Qala \(host)] \(text)", body: text + "\n", host: host)
        let (failures, interrupt) = (Failures(), stopping)
        // At once, so that it takes no longer than the slowest.
        var threads: [WorkerThread] = []
        for channel in chosen {
            do {
                threads.append(
                    try WorkerThread {
                        let failure = AlarmDelivery.deliver(message, to: channel, interrupt: interrupt)
                        failures.found.withLock { $0[channel.name] = failure }
                    })
            } catch {
                let failure = Daemon.words(error)
                failures.found.withLock { $0[channel.name] = failure }
            }
        }
        for thread in threads { thread.join() }
        let found = failures.found.withLock { $0 }
        return chosen.map { ($0.name, found[$0.name]) }
    }

    // MARK: Sending

    private func send(at now: Int64) {
        let work: (due: [Waiting], channels: [String: AlarmChannel], ping: DeadMan?)? = monitor.locked {
            guard !isSending, !stopping.isSet else { return nil }
            // A clock that was set back makes nothing wait longer than it ever would.
            let due = kept.outbox.filter { $0.notBefore <= now || $0.notBefore > now + Self.longestWait }
            let ping = settings.deadMan.flatMap { deadMan in
                pinged.map { now - $0 >= deadMan.every || $0 > now } ?? true ? deadMan : nil
            }
            guard !due.isEmpty || ping != nil else { return nil }
            isSending = true
            if ping != nil { pinged = now }
            thread?.join()
            thread = nil
            let channels = Dictionary(settings.channels.map { ($0.name, $0) }) { first, _ in first }
            return (due, channels, ping)
        }
        guard let work else { return }
        do {
            let made = try WorkerThread { [weak self] in self?.deliver(work.due, work.channels, work.ping, at: now) }
            monitor.locked { thread = made }
        } catch {
            monitor.locked { isSending = false }
        }
    }

    private func deliver(_ due: [Waiting], _ channels: [String: AlarmChannel], _ ping: DeadMan?, at now: Int64) {
        var down: [String: String] = [:]
        var outcomes: [(waiting: Waiting, failure: String?)] = []
        for waiting in due {
            guard !stopping.isSet, let channel = channels[waiting.channel] else { continue }
            // What is down is tried once, not for each notice.
            let failure =
                down[waiting.channel]
                ?? AlarmDelivery.deliver(waiting.message, to: channel, interrupt: stopping)
            // Broken off: that says nothing of the channel.
            if failure != nil, stopping.isSet { continue }
            if let failure { down[waiting.channel] = failure }
            outcomes.append((waiting, failure))
        }
        let pingFailure = ping.flatMap { AlarmDelivery.ping($0, interrupt: stopping) }
        monitor.locked {
            for (waiting, failure) in outcomes {
                guard
                    let at = kept.outbox.firstIndex(where: {
                        $0.channel == waiting.channel && $0.message == waiting.message
                    })
                else { continue }
                guard let failure else {
                    kept.outbox.remove(at: at)
                    continue
                }
                kept.outbox[at].tries += 1
                kept.outbox[at].reason = failure
                kept.outbox[at].notBefore =
                    now + min(Self.longestWait, 30 << Int64(min(kept.outbox[at].tries - 1, 7)))
            }
            if ping != nil, settings.deadMan != nil {
                if let pingFailure {
                    pingFailures = (pingFailures.count + 1, pingFailure)
                } else {
                    pingFailures = (0, "")
                }
            }
            isSending = false
            store()
        }
    }

    /// Call it inside `monitor.locked`.
    private func store() {
        do {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            try StateFile.write(path, Array(try encoder.encode(kept)), calls: calls)
            problem = nil
        } catch { problem = Daemon.words(error) }
    }

    private static var hostName: String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "?" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
