import API
import Domain
import Hummingbird
import HummingbirdCore
import Operations

/// The registers and the audit log, for persons whose accounts cannot read the state of the daemon.
enum ReadingRoutes {
    static func add(to router: RouterGroup<ControlContext>, of daemon: Daemon) {
        for name in RegisterName.allCases {
            router.get(RouterPath(ControlPath.register(name))) { request, context in
                guard let filter = RegisterFilter(asked: { value(request, $0) }) else { throw usage("since is a time") }
                let start = try number(request, "from", 0...Int.max)
                let most = start == nil ? ControlPath.longestList : ControlPath.longestPage
                let limit = try number(request, "limit", 1...Int.max) ?? 100
                let report = try await daemon.register(
                    name, filter, from: start, limit: min(limit, most), by: try await context.caller())
                return try Response.json(report)
            }
            router.get(RouterPath(ControlPath.register(name) + "/:id")) { _, context in
                let id = ControlPath.decoded(try context.parameters.require("id"))
                let row = try await daemon.registerRow(name, id, by: try await context.caller())
                return try Response.json(RegisterRowReply(register: name, row: row))
            }
        }
        router.get(RouterPath(ControlPath.audit)) { request, context in
            let asked = ShowAuditLog.Request(
                from: try number(request, "from", 0...Int.max).map { UInt64($0) },
                last: try number(request, "last", 1...ControlPath.longestList), operation: value(request, "operation"),
                actor: value(request, "actor"), since: value(request, "since"))
            let caller = try await context.caller()
            return try Response.json(try await daemon.auditPage(asked, limit: ControlPath.longestPage, by: caller))
        }
    }

    private static func value(_ request: Request, _ name: String) -> String? {
        request.uri.queryParameters[name[...]].map { String($0) }
    }

    private static func number(_ request: Request, _ name: String, _ range: ClosedRange<Int>) throws -> Int? {
        guard let text = value(request, name) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            let end = range.upperBound == Int.max ? "on" : "to \(range.upperBound)"
            throw usage("\(name) is a number from \(range.lowerBound) \(end)")
        }
        return number
    }

    private static func usage(_ message: String) -> OperationError { OperationError(.usage, message) }
}
