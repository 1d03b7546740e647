package import API
import Domain
import Glibc
import Logging
package import Operations
import ServiceLifecycle
import Synchronization
import UnixSignals

/// The process of the daemon: puts its services together, ends them in order, and turns what goes wrong into a status.
package struct DaemonProcess: Sendable {
    private let settings: Daemon.Settings
    private let socket: String
    private let metrics: String?

    /// `metrics` is a loopback address with a port; nil serves them on the socket alone.
    package init(settings: Daemon.Settings, socket: String, metrics: String? = nil) {
        var settings = settings
        // Beside the control socket, which only operators may connect to.
        let folder = socket.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        settings.walSocket = socket.contains("/") ? folder + "/wal.sock" : "wal.sock"
        self.settings = settings
        self.socket = socket
        self.metrics = metrics
    }

    package static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    package func run() async -> ExitStatus {
        let notifier = ServiceNotifier(Self.environment)
        var logger = Logger(label: "qalad") { _ in JournalHandler() }
        logger.logLevel = .info
        let told = LastWords()
        do {
            try Workplace.prepareProcess()
            let address = try metrics.map { try MetricsAddress($0) }
            signal(SIGPIPE, SIG_IGN)
            // Until the policies are read and it is waited for.
            signal(SIGHUP, SIG_IGN)
            try Self.makeFolder(of: socket)
            let daemon = try await Daemon.start(settings, notifier: notifier) { event in
                told.message.withLock { $0 = event.message }
                JournalHandler.write(event)
            }
            var quiet = logger
            quiet.logLevel = .error
            // Trapped before the socket is there: nobody's first reload is lost.
            let hangups = await UnixSignalsSequence(trapping: .sighup)
            var services: [any Service] = [
                ControlServer(daemon, path: socket, logger: quiet), Reloading(daemon: daemon, hangups: hangups),
                WorkLoop(daemon: daemon),
            ]
            if let address { services.insert(MetricsServer(daemon, at: address, logger: quiet), at: 0) }
            let group = ServiceGroup(
                configuration: .init(
                    services: services.map {
                        ServiceGroupConfiguration.ServiceConfiguration(
                            service: $0, successTerminationBehavior: .gracefullyShutdownGroup,
                            failureTerminationBehavior: .gracefullyShutdownGroup)
                    }, gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet))
            try await group.run()
            return .done
        } catch {
            let failure = error as? any Failure
            let text = [failure?.message ?? "\(error)", failure?.hint ?? ""].filter { !$0.isEmpty }
            let words = text.joined(separator: ". ")
            // What the daemon itself told last is not told again.
            if !told.message.withLock({ $0.hasSuffix(words) }) { logger.critical("\(words)") }
            return failure.map { ExitStatus($0.kind) } ?? .failed
        }
    }

    private static func makeFolder(of socket: String) throws {
        var folder = socket.hasPrefix("/") ? "" : "."
        for part in socket.split(separator: "/").dropLast() {
            folder += "/" + part
            guard mkdir(folder, 0o750) == 0 || errno == EEXIST || errno == EISDIR else {
                throw OperationError(
                    .failed, "the folder \(folder) of the socket cannot be made: \(String(cString: strerror(errno)))",
                    hint: "Name another socket with --socket.")
            }
        }
    }
}

/// What the daemon told last.
private final class LastWords: Sendable {
    let message = Mutex("")
}

/// Executes policies until the group ends; then lets the run that is going come to a point from which it resumes.
private struct WorkLoop: Service {
    let daemon: Daemon

    func run() async throws {
        await withTaskCancellationOrGracefulShutdownHandler {
            await daemon.serve()
        } onCancelOrGracefulShutdown: {
            Task { await daemon.stop() }
        }
    }
}

/// SIGHUP: the policies are read again.
private struct Reloading: Service {
    let daemon: Daemon
    let hangups: UnixSignalsSequence

    func run() async throws {
        for await _ in hangups.cancelOnGracefulShutdown() {
            // What is wrong was told, and the set before stays in force.
            try? await daemon.reload(by: "SIGHUP")
        }
    }
}

/// Lines for the journal: systemd reads the severity from `<N>` at the beginning.
private struct JournalHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let number =
            switch event.level {
            case .critical, .error: 3
            case .warning: 4
            case .notice: 5
            case .info: 6
            case .debug, .trace: 7
            }
        Self.write(number, "\(event.message)")
    }

    static func write(_ event: DaemonEvent) {
        let about = [event.policy.map { "policy=\($0) " }, event.run.map { "run=\($0) " }].compactMap(\.self).joined()
        write(event.severity.rawValue, about + event.message)
    }

    /// One line each, whatever the text holds.
    private static func write(_ severity: Int, _ text: String) {
        let line = String(text.map { $0.isNewline ? " " : $0 })
        let bytes = Array("<\(severity)>\(line)\n".utf8)
        _ = bytes.withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
    }
}
