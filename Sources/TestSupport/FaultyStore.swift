package import Vault
import Glibc
import Synchronization

/// A store that misbehaves on demand: fails, loses replies, delays, flips bits, hides and cuts objects.
package final class FaultyStore: Store {
    package enum Operation: String, Sendable, CaseIterable {
        case put, putIfAbsent, get, length, list, delete, create, append, finish, open
    }

    package enum Effect: Sendable {
        /// Nothing is done; the error is thrown.
        case fail(VaultError)
        /// The operation is done and then the error thrown: a lost reply.
        case failAfterwards(VaultError)
        case delay(milliseconds: UInt32)
    }

    package struct Fault: Sendable {
        /// Nil means all operations.
        package var operation: Operation?
        /// Only objects whose name starts so.
        package var prefix: String
        /// The first matching operation, from 1, that is hit.
        package var ordinal: Int
        package var effect: Effect
        package var lasts: Bool

        package init(
            _ operation: Operation?, prefix: String = "", ordinal: Int = 1, _ effect: Effect, lasts: Bool = false
        ) {
            self.operation = operation
            self.prefix = prefix
            self.ordinal = ordinal
            self.effect = effect
            self.lasts = lasts
        }
    }

    private struct State {
        var faults: [(fault: Fault, seen: Int)] = []
        var flips: [String: [UInt64: UInt8]] = [:]
        var cuts: [String: UInt64] = [:]
        var hidden: Set<String> = []
        var counts: [Operation: Int] = [:]
    }

    private let inner: any Store
    private let state = Mutex(State())

    package init(_ inner: any Store) { self.inner = inner }

    package var describe: String { inner.describe }

    package func add(_ fault: Fault) { state.withLock { $0.faults.append((fault, 0)) } }
    /// Whoever reads this byte of the object sees it changed by `mask`.
    package func flip(_ name: String, at offset: UInt64, mask: UInt8 = 1) {
        state.withLock { $0.flips[name, default: [:]][offset] = mask }
    }
    /// The object seems to end here.
    package func cut(_ name: String, to length: UInt64) { state.withLock { $0.cuts[name] = length } }
    /// The object seems not to exist; listings leave it out.
    package func hide(_ name: String) { _ = state.withLock { $0.hidden.insert(name) } }
    /// Behaves well from now on.
    package func heal() { state.withLock { $0 = State(counts: $0.counts) } }
    package func count(_ operation: Operation) -> Int { state.withLock { $0.counts[operation] ?? 0 } }

    fileprivate func run<Result>(
        _ operation: Operation, _ name: String, _ body: () throws(VaultError) -> Result
    ) throws(VaultError) -> Result {
        let effect: Effect? = state.withLock { state in
            state.counts[operation, default: 0] += 1
            var found: Effect?
            for index in state.faults.indices {
                let fault = state.faults[index].fault
                guard fault.operation == nil || fault.operation == operation, name.hasPrefix(fault.prefix)
                else { continue }
                state.faults[index].seen += 1
                let seen = state.faults[index].seen
                if seen == fault.ordinal || (fault.lasts && seen > fault.ordinal) { found = found ?? fault.effect }
            }
            return found
        }
        switch effect {
        case nil: break
        case .fail(let error): throw error
        case .failAfterwards(let error):
            _ = try body()
            throw error
        case .delay(let milliseconds): usleep(milliseconds * 1000)
        }
        return try body()
    }

    fileprivate func visibleLength(_ name: String, _ length: UInt64) -> UInt64 {
        state.withLock { min(length, $0.cuts[name] ?? length) }
    }

    fileprivate func spoil(_ name: String, at offset: UInt64, _ buffer: UnsafeMutableRawBufferPointer) {
        for (place, mask) in state.withLock({ $0.flips[name] ?? [:] })
        where place >= offset && place - offset < UInt64(buffer.count) {
            buffer[Int(place - offset)] ^= mask
        }
    }

    private func isHidden(_ name: String) -> Bool { state.withLock { $0.hidden.contains(name) } }

    private func refuseIfHidden(_ name: String) throws(VaultError) {
        if isHidden(name) { throw VaultError(.missingObject, "\(name) is missing in \(describe)") }
    }
}

extension FaultyStore {
    package func put(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(VaultError) {
        try run(.put, name) { () throws(VaultError) in try inner.put(name, bytes) }
    }

    package func putIfAbsent(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(VaultError) -> PutOutcome {
        try run(.putIfAbsent, name) { () throws(VaultError) in try inner.putIfAbsent(name, bytes) }
    }

    package func get(
        _ name: String, offset: UInt64, length: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(VaultError) {
        try run(.get, name) { () throws(VaultError) in
            try refuseIfHidden(name)
            let seen = visibleLength(name, .max)
            guard offset <= seen, UInt64(max(0, length)) <= seen - offset else { throw .damaged("\(name) ends early") }
            try inner.get(name, offset: offset, length: length, into: buffer)
            spoil(name, at: offset, UnsafeMutableRawBufferPointer(rebasing: buffer[..<length]))
        }
    }

    package func get(_ name: String, limit: Int) throws(VaultError) -> [UInt8] {
        try run(.get, name) { () throws(VaultError) in
            try refuseIfHidden(name)
            var bytes = try inner.get(name, limit: limit)
            bytes = Array(bytes.prefix(Int(visibleLength(name, UInt64(bytes.count)))))
            bytes.withUnsafeMutableBytes { spoil(name, at: 0, $0) }
            return bytes
        }
    }

    package func length(of name: String) throws(VaultError) -> UInt64? {
        try run(.length, name) { () throws(VaultError) in
            if isHidden(name) { return nil }
            return try inner.length(of: name).map { visibleLength(name, $0) }
        }
    }

    package func list(_ directory: String) throws(VaultError) -> [ObjectInfo] {
        try run(.list, directory) { () throws(VaultError) in
            try inner.list(directory).filter { !isHidden($0.name) }.map {
                ObjectInfo(name: $0.name, length: visibleLength($0.name, $0.length))
            }
        }
    }

    package func delete(_ name: String) throws(VaultError) {
        try run(.delete, name) { () throws(VaultError) in try inner.delete(name) }
    }

    package func create(_ name: String, sizeHint: Int) throws(VaultError) -> any ObjectUpload {
        try run(.create, name) { () throws(VaultError) in
            FaultyUpload(name, try inner.create(name, sizeHint: sizeHint), self)
        }
    }

    package func open(_ name: String) throws(VaultError) -> any ObjectReader {
        try run(.open, name) { () throws(VaultError) in
            try refuseIfHidden(name)
            return FaultyReader(name, try inner.open(name), self)
        }
    }
}

private final class FaultyUpload: ObjectUpload {
    private let name: String
    private let inner: any ObjectUpload
    private let store: FaultyStore

    init(_ name: String, _ inner: any ObjectUpload, _ store: FaultyStore) {
        self.name = name
        self.inner = inner
        self.store = store
    }

    func append(_ bytes: UnsafeRawBufferPointer) throws(VaultError) {
        try store.run(.append, name) { () throws(VaultError) in try inner.append(bytes) }
    }

    func finish() throws(VaultError) {
        try store.run(.finish, name) { () throws(VaultError) in try inner.finish() }
    }

    func abort() { inner.abort() }
}

private final class FaultyReader: ObjectReader {
    let length: UInt64
    private let name: String
    private let inner: any ObjectReader
    private let store: FaultyStore

    init(_ name: String, _ inner: any ObjectReader, _ store: FaultyStore) {
        self.name = name
        self.inner = inner
        self.store = store
        length = store.visibleLength(name, inner.length)
    }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(VaultError) {
        try store.run(.get, name) { () throws(VaultError) in
            guard offset <= length, UInt64(buffer.count) <= length - offset else {
                throw .damaged("\(name) ends early")
            }
            try inner.read(at: offset, into: buffer)
            store.spoil(name, at: offset, buffer)
        }
    }

    func prefetch(at offset: UInt64, length: Int) { inner.prefetch(at: offset, length: length) }
}
