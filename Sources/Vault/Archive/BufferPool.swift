/// A bounded set of equal buffers: taking waits until one is free, which bounds the memory of a run however fast its
/// source is.
final class BufferPool: @unchecked Sendable {
    // SAFETY: `free` and `made` are touched only inside `monitor.locked`.
    let bytesPerBuffer: Int
    private let limit: Int
    private let monitor = Monitor()
    private var free: [RawBuffer] = []
    private var made = 0

    init(bytesPerBuffer: Int, limit: Int) {
        self.bytesPerBuffer = bytesPerBuffer
        self.limit = limit
    }

    /// A buffer that goes back to its pool with its last reference.
    final class Lease: Sendable {
        let buffer: RawBuffer
        private let pool: BufferPool

        fileprivate init(_ buffer: RawBuffer, _ pool: BufferPool) {
            self.buffer = buffer
            self.pool = pool
        }

        deinit { pool.give(buffer) }

        var bytes: UnsafeMutableRawBufferPointer { buffer.bytes }
    }

    func take() -> Lease {
        let buffer = monitor.locked {
            while true {
                if let buffer = free.popLast() { return buffer }
                if made < limit {
                    made += 1
                    return RawBuffer(count: bytesPerBuffer)
                }
                monitor.wait()
            }
        }
        return Lease(buffer, self)
    }

    private func give(_ buffer: RawBuffer) {
        monitor.locked {
            free.append(buffer)
            monitor.wakeAll()
        }
    }
}
