package import Vault
import Synchronization

/// A store in front of which something happens once: right before the first write to, or opening or removal of, an object
/// whose name begins as said.
package final class RacingStore: Store {
    private struct State {
        var act: (@Sendable () throws -> Void)?
        var hasRun = false
    }

    private let inner: any Store
    private let prefix: String
    private let state = Mutex(State())

    package init(_ inner: any Store, before prefix: String) {
        self.inner = inner
        self.prefix = prefix
    }

    /// What happens uses the store behind this one.
    package func arm(_ act: @escaping @Sendable () throws -> Void) { state.withLock { $0 = State(act: act) } }
    package var hasRun: Bool { state.withLock { $0.hasRun } }

    private func meet(_ name: String) throws(VaultError) {
        guard name.hasPrefix(prefix) else { return }
        let act = state.withLock { state in
            defer { state.act = nil }
            return state.act
        }
        guard let act else { return }
        do {
            try act()
        } catch {
            throw VaultError(.io, "what was to happen meanwhile failed: \(error)")
        }
        state.withLock { $0.hasRun = true }
    }

    package var describe: String { inner.describe }

    package func put(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(VaultError) {
        try meet(name)
        try inner.put(name, bytes)
    }

    package func putIfAbsent(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(VaultError) -> PutOutcome {
        try meet(name)
        return try inner.putIfAbsent(name, bytes)
    }

    package func get(
        _ name: String, offset: UInt64, length: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(VaultError) {
        try inner.get(name, offset: offset, length: length, into: buffer)
    }

    package func get(_ name: String, limit: Int) throws(VaultError) -> [UInt8] { try inner.get(name, limit: limit) }
    package func length(of name: String) throws(VaultError) -> UInt64? { try inner.length(of: name) }
    package func list(_ directory: String) throws(VaultError) -> [ObjectInfo] { try inner.list(directory) }

    package func delete(_ name: String) throws(VaultError) {
        try meet(name)
        try inner.delete(name)
    }

    package func create(_ name: String, sizeHint: Int) throws(VaultError) -> any ObjectUpload {
        try inner.create(name, sizeHint: sizeHint)
    }

    package func open(_ name: String) throws(VaultError) -> any ObjectReader {
        try meet(name)
        return try inner.open(name)
    }
}
