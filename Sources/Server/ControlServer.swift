import API
import Domain
import FoundationEssentials
import Glibc
import HTTPTypes
import Hummingbird
import HummingbirdCore
package import Logging
import NIOCore
package import Operations
import ServiceLifecycle

/// The control socket of a daemon: decodes a request, asks the daemon, encodes the answer.
///
/// Invariants:
/// 1. The socket is open to its owner alone until its group and rights are set; who can connect may read metrics and health.
/// 2. Everything else is in a group of routes with the right that it takes, and who asks is what the kernel tells, never what
///    the request says.
/// 3. Bodies are bounded, connections are bounded, and an idle one is closed.
package struct ControlServer: Service {
    private static let bodyLimit = 64 << 10
    private static let idleSeconds: Int64 = 30
    private static let connections = 100
    private let daemon: Daemon
    private let path: String
    private let group: String
    private let logger: Logger

    /// `group` may be missing on this machine: then only the owner of the process can ask.
    package init(_ daemon: Daemon, path: String, group: String = "qala", logger: Logger) {
        self.daemon = daemon
        self.path = path
        self.group = group
        self.logger = logger
    }

    package func run() async throws {
        try SocketPlace.clear(path, kind: SOCK_STREAM)
        let (path, group) = (path, group)
        var configuration = ApplicationConfiguration(address: .unixDomainSocket(path: path))
        configuration.availableConnectionsDelegate = MaximumAvailableConnections(Self.connections)
        let application = Application(
            router: router(),
            server: .http1(configuration: .init(idleTimeout: .seconds(Self.idleSeconds))),
            configuration: configuration,
            onServerRunning: { [daemon] _ in
                Self.open(path, to: group)
                await daemon.ready()
            }, logger: logger)
        defer { SocketPlace.remove(path) }
        try await application.run()
    }

    private static func open(_ path: String, to group: String) {
        guard let found = getgrnam(group), chown(path, uid_t.max, found.pointee.gr_gid) == 0 else { return }
        chmod(path, 0o660)
    }

    // MARK: Routes

    private func router() -> Router<ControlContext> {
        let router = Router(context: ControlContext.self)
        let daemon = daemon
        router.add(middleware: Answers())
        HealthRoutes.add(to: router, of: daemon)
        func group(_ right: Right) -> RouterGroup<ControlContext> {
            router.group().add(middleware: Admission(daemon: daemon, right: right))
        }
        addReading(to: group(.read))
        ReadingRoutes.add(to: group(.read), of: daemon)
        addControl(to: group(.control))
        group(.administer).post(RouterPath(ControlPath.reload)) { _, context in
            try await daemon.reload(by: try await context.caller())
            return try Response.json(await daemon.status())
        }
        return router
    }

    private func addReading(to router: RouterGroup<ControlContext>) {
        let daemon = daemon
        router.get(RouterPath(ControlPath.status)) { _, _ in try Response.json(await daemon.status()) }
        router.get(RouterPath(ControlPath.runs)) { request, _ in
            let policy = request.uri.queryParameters["policy"].map(String.init)
            return try Response.json(RunListReply(runs: await daemon.runs(of: policy, limit: try limit(request))))
        }
        router.get("v1/runs/:id") { _, context in
            try Response.json(RunReply(run: try await daemon.find(try context.parameters.require("id"))))
        }
        router.get(RouterPath(ControlPath.alarms)) { _, _ in
            try Response.json(AlarmsReply(alarms: await daemon.alarms()))
        }
        router.get(RouterPath(ControlPath.events)) { request, _ in
            try Response.json(EventsReply(events: await daemon.recentEvents(limit: try limit(request))))
        }
    }

    private func addControl(to router: RouterGroup<ControlContext>) {
        let daemon = daemon
        router.post(RouterPath(ControlPath.runs)) { request, context in
            guard let policy = try await asked(request).policy else {
                throw OperationError(.usage, "a policy is needed", hint: "Name one.")
            }
            return try Response.json(RunReply(run: try await daemon.request(policy, by: try await context.caller())))
        }
        router.post("v1/runs/:id/cancel") { _, context in
            let id = try context.parameters.require("id")
            return try Response.json(RunReply(run: try await daemon.cancel(id, by: try await context.caller())))
        }
        for (path, isPaused) in [(ControlPath.pause, true), (ControlPath.resume, false)] {
            router.post(RouterPath(path)) { request, context in
                let policy = try await asked(request).policy
                try await daemon.setPaused(isPaused, policy, by: try await context.caller())
                return try Response.json(await daemon.status())
            }
        }
        router.post(RouterPath(ControlPath.alarmTest)) { request, _ in
            let channel = try await asked(request, ChannelAsked.self, "{\"channel\":\"NAME\"}")?.channel
            return try Response.json(AlarmTestReply(channels: try await daemon.testAlarms(channel)))
        }
        router.post(RouterPath(ControlPath.remark)) { request, context in
            let asked = try await RemarkAsked.read(request)
            let caller = try await context.caller()
            return try Response.json(try await daemon.remark(asked.problem, asked.text, by: caller))
        }
    }

    private func limit(_ request: Request) throws -> Int {
        guard let text = request.uri.queryParameters["limit"] else { return 100 }
        guard let limit = Int(text), limit > 0 else {
            throw OperationError(.usage, "limit is a number from 1 to \(ControlPath.longestList)")
        }
        return min(limit, ControlPath.longestList)
    }

    private func asked(_ request: Request) async throws -> PolicyAsked {
        try await asked(request, PolicyAsked.self, "{\"policy\":\"NAME\"}") ?? PolicyAsked(policy: nil)
    }

    /// Nil where nothing was sent.
    private func asked<Body: Decodable>(_ request: Request, _ type: Body.Type, _ form: String) async throws -> Body? {
        let body = try await request.body.collect(upTo: Self.bodyLimit)
        if body.readableBytes == 0 { return nil }
        do { return try JSONDecoder().decode(type, from: Data(body.readableBytesView)) } catch {
            throw OperationError(.usage, "the body of the request cannot be read", hint: "Send \(form).")
        }
    }
}

/// What a request comes with: the connection, and so who is at its other end.
struct ControlContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    private let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }

    /// As `struct ucred`.
    private struct Peer: Sendable {
        var process: pid_t = 0
        var user: uid_t = 0
        var group: gid_t = 0
    }

    func caller() async throws -> String { "uid \(try await account())" }

    /// Of the process at the other end, when it connected.
    func account() async throws -> UInt32 {
        guard let options = channel as? any SocketOptionProvider else {
            throw OperationError(.denied, "the caller is not known")
        }
        let peer: Peer = try await options.unsafeGetSocketOption(level: .socket, name: .init(rawValue: SO_PEERCRED))
            .get()
        return peer.user
    }
}

/// Lets through who has the right.
private struct Admission: RouterMiddleware {
    let daemon: Daemon
    let right: Right

    func handle(
        _ request: Request, context: ControlContext, next: (Request, ControlContext) async throws -> Response
    ) async throws -> Response {
        let question = "\(request.method.rawValue) \(request.uri.path)"
        try await daemon.admit(try await context.account(), to: right, asking: question)
        return try await next(request, context)
    }
}

/// Turns what an operation throws into an error of the one table.
private struct Answers: RouterMiddleware {
    func handle(
        _ request: Request, context: ControlContext, next: (Request, ControlContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as any Failure {
            return try Response.json(
                ErrorBody(kind: error.kind, message: error.message, hint: error.hint),
                status: ExitStatus(error.kind).http)
        } catch is NIOTooManyBytesError {
            return try Response.json(
                ErrorBody(kind: .usage, message: "the body of the request is too long", hint: ""), status: 413)
        } catch let error as HTTPError {
            let kind: FailureKind = error.status == .notFound ? .notFound : error.status.code < 500 ? .usage : .failed
            return try Response.json(
                ErrorBody(kind: kind, message: error.body ?? "\(error.status)", hint: ""), status: error.status.code)
        } catch {
            return try Response.json(
                ErrorBody(kind: .failed, message: "\(error)", hint: "See the journal of the daemon."), status: 500)
        }
    }
}

extension Response {
    static func json(_ value: some Encodable, status: Int = 200) throws -> Response {
        var bytes = try JSONText.encode(value)
        bytes.append(0x0A)
        return Response(
            status: .init(code: status), headers: [.contentType: "application/json"],
            body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
    }
}
