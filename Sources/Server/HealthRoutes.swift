import API
import Domain
import FoundationEssentials
import HTTPTypes
import Hummingbird
import HummingbirdCore
package import Logging
import NIOCore
package import Operations
import ServiceLifecycle

/// What programs that watch the daemon read: the same on the control socket and on the address for metrics.
enum HealthRoutes {
    static func add<Context: RequestContext>(to router: Router<Context>, of daemon: Daemon) {
        router.get("healthz") { _, _ in Self.answer(await daemon.health()) }
        router.get("readyz") { _, _ in Self.answer(await daemon.readiness()) }
        router.get("metrics") { _, _ in
            Self.text(await daemon.metricsText(), 200, "text/plain; version=0.0.4; charset=utf-8")
        }
    }

    private static func answer(_ health: Daemon.Health) -> Response {
        text(health.text + "\n", health.isGood ? 200 : 503, "text/plain; charset=utf-8")
    }

    private static func text(_ text: String, _ status: Int, _ type: String) -> Response {
        Response(
            status: .init(code: status), headers: [.contentType: type],
            body: .init(byteBuffer: ByteBuffer(string: text)))
    }
}

/// Metrics and health over TCP, for a monitoring system of this machine. Nothing else is there, and nothing can be changed;
/// ``MetricsAddress`` is a loopback address always.
package struct MetricsServer: Service {
    private static let idleSeconds: Int64 = 30
    private static let connections = 20
    private static let retrySeconds = 10
    private let daemon: Daemon
    private let address: MetricsAddress
    private let logger: Logger

    package init(_ daemon: Daemon, at address: MetricsAddress, logger: Logger) {
        self.daemon = daemon
        self.address = address
        self.logger = logger
    }

    package func run() async throws {
        let place = "\(address.host), port \(address.port)"
        while !Task.isShuttingDownGracefully {
            do {
                try await application().run()
                return
            } catch {
                // An address that is taken is no reason not to archive: it is an alarm, and tried again.
                await daemon.note(serving: "metrics", failure: "metrics cannot be served at \(place): \(error)")
                try? await cancelWhenGracefulShutdown { try await Task.sleep(for: .seconds(Self.retrySeconds)) }
            }
            try Task.checkCancellation()
        }
    }

    private func application() -> some ApplicationProtocol {
        let router = Router(context: BasicRequestContext.self)
        HealthRoutes.add(to: router, of: daemon)
        var configuration = ApplicationConfiguration(address: .hostname(address.host, port: address.port))
        configuration.availableConnectionsDelegate = MaximumAvailableConnections(Self.connections)
        return Application(
            router: router,
            server: .http1(configuration: .init(idleTimeout: .seconds(Self.idleSeconds))),
            configuration: configuration,
            onServerRunning: { [daemon] _ in await daemon.note(serving: "metrics", failure: nil) }, logger: logger)
    }
}

extension RemarkAsked {
    private static let bodyLimit = 64 << 10

    /// Of the body of a request.
    static func read(_ request: Request) async throws -> RemarkAsked {
        let body = try await request.body.collect(upTo: bodyLimit)
        do { return try JSONDecoder().decode(RemarkAsked.self, from: Data(body.readableBytesView)) } catch {
            throw OperationError(
                .usage, "the body of the request cannot be read", hint: "Send {\"problem\":NUMBER,\"text\":\"TEXT\"}.")
        }
    }
}
