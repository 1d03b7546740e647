/// An object of a ``LocalStore``, held by its descriptor.
final class LocalReader: ObjectReader {
    let length: UInt64
    private let file: Descriptor
    private let name: String
    private let place: String
    private let calls: any FileSystemCalls

    init(
        _ file: consuming Descriptor, length: UInt64, name: String, place: String, calls: any FileSystemCalls
    ) {
        self.file = file
        self.length = length
        self.name = name
        self.place = place
        self.calls = calls
    }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(VaultError) {
        // An offset from storage may be anything; beyond this the kernel's signed offsets end.
        guard offset <= UInt64(Int64.max) - UInt64(buffer.count) else { throw endsEarly(offset) }
        var done = 0
        while done < buffer.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
            let number = file.number
            let result = LocalStore.retrying { calls.read(number, into: rest, at: offset + UInt64(done)) }
            if result == 0 { throw endsEarly(offset) }
            guard result > 0, result <= rest.count else {
                throw .system(Int32(truncatingIfNeeded: -result), "read \(name)", in: place)
            }
            done += result
        }
    }

    func prefetch(at offset: UInt64, length: Int) {
        guard length > 0, offset <= UInt64(Int64.max) - UInt64(length) else { return }
        _ = calls.willNeed(file.number, at: offset, length: UInt64(length))
    }

    private func endsEarly(_ offset: UInt64) -> VaultError {
        .damaged("\(name) in \(place) has \(length) bytes and ends before a range that starts at \(offset)")
    }
}
