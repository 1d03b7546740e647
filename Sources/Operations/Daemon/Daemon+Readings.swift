import Domain
import Vault

/// What persons read of the registers and the audit log through the daemon, because their accounts cannot read its state.
///
/// Invariants:
/// 1. Files are read on a thread of their own, a few at a time: neither the work loop nor the socket waits for a disk.
/// 2. What was read is in the audit log before it goes out. That it cannot be recorded keeps nobody from reading, and is told.
/// 3. No key is used: of a hold the reason stays sealed.
extension Daemon {
    private static let mostReadings = 4

    /// The newest `limit` rows, newest first; with `start` a page of them, oldest first from that number on.
    package func register(
        _ name: RegisterName, _ filter: RegisterFilter, from start: Int?, limit: Int, by caller: String
    ) async throws -> RegisterReport {
        var details = [AuditDetail("from", start.map { "\($0)" } ?? ""), AuditDetail("policy", filter.policy ?? "")]
        details += [AuditDetail("kind", filter.kind ?? ""), AuditDetail("since", filter.since ?? "")]
        return try await reading("register.list", name.rawValue, details, by: caller) { workplace in
            guard let start else { return try Registers.list(name, filter, limit: limit, at: workplace) }
            return try Registers.page(name, filter, from: start, limit: limit, at: workplace)
        }
    }

    package func registerRow(_ name: RegisterName, _ id: String, by caller: String) async throws -> RegisterRow {
        try await reading("register.show", name.rawValue, [AuditDetail("row", id)], by: caller) { workplace in
            try Registers.show(name, id, at: workplace)
        }
    }

    package func auditPage(
        _ request: ShowAuditLog.Request, limit: Int, by caller: String
    ) async throws -> AuditPage {
        var details = [AuditDetail("operation", request.operation ?? ""), AuditDetail("actor", request.actor ?? "")]
        details += [AuditDetail("from", request.from.map { "\($0)" } ?? ""), AuditDetail("since", request.since ?? "")]
        details.append(AuditDetail("last", request.last.map { "\($0)" } ?? ""))
        return try await reading("audit.show", "", details, by: caller) { workplace in
            try ShowAuditLog.page(request, limit: limit, at: workplace)
        }
    }

    private func reading<Value: Sendable>(
        _ operation: String, _ subject: String, _ details: [AuditDetail], by caller: String,
        _ work: @escaping @Sendable (Workplace) throws -> Value
    ) async throws -> Value {
        if isStopping { throw OperationError(.tryAgain, "the daemon is stopping") }
        guard readings < Self.mostReadings else {
            throw OperationError(
                .tryAgain, "the daemon is reading for \(readings) others", hint: "Ask again in a moment.")
        }
        readings += 1
        defer { readings -= 1 }
        let workplace = Workplace(
            vaultPath: readVault, statePath: settings.statePath, interrupt: readingInterrupt)
        let told = details.filter { !$0.value.isEmpty }
        do {
            let value = try await Self.aside { try work(workplace) }
            recordRead(operation, subject, told, by: caller)
            return value
        } catch {
            recordRead(operation, subject, told, failing: error, by: caller)
            throw error
        }
    }

    /// The one vault of the policies in force; where they have several, the one for policies that name none.
    private var readVault: String {
        let named = Set(policies.policies.map { $0.vault ?? settings.vaultPath })
        return named.count == 1 ? named.first ?? settings.vaultPath : settings.vaultPath
    }

    private static func aside<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Value, any Error>) in
            do {
                try WorkerThread { continuation.resume(with: Result { try work() }) }.detach()
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }
}
