import Domain

/// Where the metrics are served beside the control socket: a loopback address, so that nothing of the daemon is open to the
/// network. A monitoring system on another host reads them through an agent or a proxy of its own.
package struct MetricsAddress: Sendable, Equatable {
    package var host: String
    package var port: Int

    /// `127.0.0.1:9469` or `[::1]:9469`.
    package init(_ text: String) throws {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (1...65_535).contains(port)
        else { throw Self.refusal(text) }
        var host = String(text[..<colon])
        if host == "[::1]" { host = "::1" } else if !Self.isLoopback(host) { throw Self.refusal(text) }
        self.host = host
        self.port = port
    }

    /// 127.0.0.0/8 in four decimal numbers; names are not looked up.
    private static func isLoopback(_ host: String) -> Bool {
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == "127" else { return false }
        return parts.allSatisfy { part in
            (1...3).contains(part.utf8.count) && part.utf8.allSatisfy { (0x30...0x39).contains($0) }
                && (Int(part) ?? 256) <= 255
        }
    }

    private static func refusal(_ text: String) -> OperationError {
        OperationError(
            .usage, "`\(text)` is no loopback address with a port",
            hint: "Write one such as 127.0.0.1:9469 or [::1]:9469.")
    }
}
