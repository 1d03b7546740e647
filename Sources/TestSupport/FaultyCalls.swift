package import Vault
import Glibc
import Synchronization

/// File system calls that fail on demand: any call, by its kind and ordinal, with any error number.
package final class FaultyCalls: FileSystemCalls {
    package enum Call: String, Sendable, CaseIterable {
        case open, close, read, write, syncFile, syncDirectory, truncate, reserve, link, rename, unlink
        case removeDirectory, makeDirectory, status, readDirectory, tryLock, setDirect, startWriteback, willNeed
    }

    package enum Effect: Sendable {
        /// Nothing is done; the error is returned.
        case fail(Int32)
        /// The call is done and then the error returned: a lost reply.
        case failAfterwards(Int32)
        /// A read or write of at most so many bytes is done.
        case short(Int)
        /// Nothing is done; success is returned.
        case skip
    }

    package struct Fault: Sendable {
        /// Nil means calls of all kinds.
        package var call: Call?
        /// The first call, from 1, that is hit, counted among those of its kind.
        package var ordinal: Int
        package var effect: Effect
        /// Whether all later calls are hit as well: a disk that died, a process that was killed.
        package var lasts: Bool

        package init(_ call: Call?, _ ordinal: Int, _ effect: Effect, lasts: Bool = false) {
            self.call = call
            self.ordinal = ordinal
            self.effect = effect
            self.lasts = lasts
        }
    }

    private struct State {
        var faults: [Fault]
        var counts: [Call: Int] = [:]
        var total = 0
        var hits = 0
    }

    private let inner: any FileSystemCalls
    private let state: Mutex<State>

    package init(_ inner: any FileSystemCalls, _ faults: [Fault] = []) {
        self.inner = inner
        state = Mutex(State(faults: faults))
    }

    /// Calls so far, of one kind or of all.
    package func count(_ call: Call? = nil) -> Int {
        state.withLock { state in call.map { state.counts[$0] ?? 0 } ?? state.total }
    }

    /// How many calls were hit by a fault.
    package var hits: Int { state.withLock { $0.hits } }

    /// Replaces the faults and starts counting anew.
    package func arm(_ faults: [Fault]) { state.withLock { $0 = State(faults: faults) } }

    private func effect(_ call: Call) -> Effect? {
        state.withLock { state in
            state.total += 1
            state.counts[call, default: 0] += 1
            for fault in state.faults where fault.call == nil || fault.call == call {
                let ordinal = fault.call == nil ? state.total : state.counts[call] ?? 0
                guard fault.lasts ? ordinal >= fault.ordinal : ordinal == fault.ordinal else { continue }
                state.hits += 1
                return fault.effect
            }
            return nil
        }
    }

    private func perform(_ call: Call, _ body: () -> Int32) -> Int32 {
        switch effect(call) {
        case nil, .short: return body()
        case .fail(let number): return -number
        case .failAfterwards(let number):
            let result = body()
            if call == .open, result >= 0 { _ = inner.close(result) }
            return -number
        case .skip: return 0
        }
    }

    private func perform(_ call: Call, _ count: Int, _ body: (Int) -> Int) -> Int {
        switch effect(call) {
        case nil: return body(count)
        case .short(let most): return body(min(most, count))
        case .fail(let number): return -Int(number)
        case .failAfterwards(let number):
            _ = body(count)
            return -Int(number)
        case .skip: return count
        }
    }
}

extension FaultyCalls {
    package func open(_ name: String, in directory: Int32, flags: Int32, mode: UInt32) -> Int32 {
        perform(.open) { inner.open(name, in: directory, flags: flags, mode: mode) }
    }

    /// A descriptor is released even when closing reports an error, as Linux does.
    package func close(_ descriptor: Int32) -> Int32 {
        let result = inner.close(descriptor)
        return perform(.close) { result }
    }

    package func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) -> Int {
        perform(.read, buffer.count) {
            inner.read(descriptor, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<$0]), at: offset)
        }
    }

    package func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, at offset: UInt64) -> Int {
        perform(.write, bytes.count) {
            inner.write(descriptor, UnsafeRawBufferPointer(rebasing: bytes[..<$0]), at: offset)
        }
    }

    package func syncFile(_ descriptor: Int32) -> Int32 { perform(.syncFile) { inner.syncFile(descriptor) } }

    package func syncDirectory(_ descriptor: Int32) -> Int32 {
        perform(.syncDirectory) { inner.syncDirectory(descriptor) }
    }

    package func truncate(_ descriptor: Int32, to length: UInt64) -> Int32 {
        perform(.truncate) { inner.truncate(descriptor, to: length) }
    }

    package func reserve(_ descriptor: Int32, _ length: UInt64) -> Int32 {
        perform(.reserve) { inner.reserve(descriptor, length) }
    }

    package func link(_ name: String, in directory: Int32, to newName: String, in newDirectory: Int32) -> Int32 {
        perform(.link) { inner.link(name, in: directory, to: newName, in: newDirectory) }
    }

    package func rename(
        _ name: String, in directory: Int32, to newName: String, in newDirectory: Int32, exclusive: Bool
    ) -> Int32 {
        perform(.rename) {
            inner.rename(name, in: directory, to: newName, in: newDirectory, exclusive: exclusive)
        }
    }

    package func unlink(_ name: String, in directory: Int32) -> Int32 {
        perform(.unlink) { inner.unlink(name, in: directory) }
    }

    package func removeDirectory(_ name: String, in directory: Int32) -> Int32 {
        perform(.removeDirectory) { inner.removeDirectory(name, in: directory) }
    }

    package func makeDirectory(_ name: String, in directory: Int32, mode: UInt32) -> Int32 {
        perform(.makeDirectory) { inner.makeDirectory(name, in: directory, mode: mode) }
    }

    package func status(of descriptor: Int32, into status: inout FileStatus) -> Int32 {
        perform(.status) { inner.status(of: descriptor, into: &status) }
    }

    package func status(of name: String, in directory: Int32, into status: inout FileStatus) -> Int32 {
        perform(.status) { inner.status(of: name, in: directory, into: &status) }
    }

    package func readDirectory(_ descriptor: Int32, into names: inout [[UInt8]]) -> Int {
        perform(.readDirectory, 0) { _ in inner.readDirectory(descriptor, into: &names) }
    }

    package func tryLock(_ descriptor: Int32) -> Int32 { perform(.tryLock) { inner.tryLock(descriptor) } }

    package func setDirect(_ descriptor: Int32, _ on: Bool) -> Int32 {
        perform(.setDirect) { inner.setDirect(descriptor, on) }
    }

    package func startWriteback(_ descriptor: Int32, at offset: UInt64, length: UInt64) -> Int32 {
        perform(.startWriteback) { inner.startWriteback(descriptor, at: offset, length: length) }
    }

    package func willNeed(_ descriptor: Int32, at offset: UInt64, length: UInt64) -> Int32 {
        perform(.willNeed) { inner.willNeed(descriptor, at: offset, length: length) }
    }

    package func random() -> UInt64 { inner.random() }
}
