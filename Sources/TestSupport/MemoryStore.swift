package import Vault
import Synchronization

/// A store in memory: the plainest thing that keeps the contract.
package final class MemoryStore: Store {
    package let describe: String
    private let objects = Mutex<[String: [UInt8]]>([:])

    package init(describe: String = "memory") { self.describe = describe }

    /// All objects, for comparing and for planting damage.
    package var contents: [String: [UInt8]] {
        get { objects.withLock { $0 } }
        set { objects.withLock { $0 = newValue } }
    }

    package func put(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(VaultError) {
        let name = try ObjectName(name).text
        let copy = Array(bytes)
        objects.withLock { $0[name] = copy }
    }

    package func putIfAbsent(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(VaultError) -> PutOutcome {
        let name = try ObjectName(name).text
        let copy = Array(bytes)
        return objects.withLock { objects in
            if let existing = objects[name] { return existing == copy ? .alreadyThere : .exists }
            objects[name] = copy
            return .created
        }
    }

    package func get(
        _ name: String, offset: UInt64, length: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(VaultError) {
        guard length >= 0, length <= buffer.count else {
            throw VaultError(.invalidInput, "a range of \(length) bytes does not fit its buffer")
        }
        try open(name).read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<length]))
    }

    package func get(_ name: String, limit: Int) throws(VaultError) -> [UInt8] {
        let bytes = try object(name)
        guard bytes.count <= limit else {
            throw VaultError(.limit, "\(name) has \(bytes.count) bytes where at most \(limit) are expected")
        }
        return bytes
    }

    package func length(of name: String) throws(VaultError) -> UInt64? {
        let name = try ObjectName(name).text
        return objects.withLock { $0[name].map { UInt64($0.count) } }
    }

    package func list(_ directory: String) throws(VaultError) -> [ObjectInfo] {
        let components = try ObjectName.directory(directory)
        var found: [ObjectInfo] = []
        for (text, bytes) in contents {
            let name = try ObjectName(text)
            let depth = name.directory.count - components.count
            guard name.directory.starts(with: components), depth == 0 || (depth == 1 && !components.isEmpty)
            else { continue }
            found.append(ObjectInfo(name: text, length: UInt64(bytes.count)))
        }
        return found.sorted { $0.name < $1.name }
    }

    package func delete(_ name: String) throws(VaultError) {
        let name = try ObjectName(name).text
        objects.withLock { $0[name] = nil }
    }

    package func create(_ name: String, sizeHint: Int) throws(VaultError) -> any ObjectUpload {
        MemoryUpload(try ObjectName(name).text, self)
    }

    package func open(_ name: String) throws(VaultError) -> any ObjectReader {
        MemoryReader(name, try object(name))
    }

    private func object(_ name: String) throws(VaultError) -> [UInt8] {
        let name = try ObjectName(name).text
        guard let bytes = objects.withLock({ $0[name] }) else {
            throw VaultError(.missingObject, "\(name) is missing in \(describe)")
        }
        return bytes
    }
}

private final class MemoryUpload: ObjectUpload {
    private let name: String
    private let store: MemoryStore
    private var bytes: [UInt8] = []
    private var isOver = false

    init(_ name: String, _ store: MemoryStore) {
        self.name = name
        self.store = store
    }

    func append(_ more: UnsafeRawBufferPointer) throws(VaultError) {
        try refuseIfOver()
        bytes.append(contentsOf: more)
    }

    func finish() throws(VaultError) {
        try refuseIfOver()
        isOver = true
        try store.put(name, bytes)
    }

    func abort() { isOver = true }

    private func refuseIfOver() throws(VaultError) {
        if isOver { throw VaultError(.invalidInput, "\(name) was finished or aborted before") }
    }
}

private final class MemoryReader: ObjectReader {
    private let name: String
    private let bytes: [UInt8]

    init(_ name: String, _ bytes: [UInt8]) {
        self.name = name
        self.bytes = bytes
    }

    var length: UInt64 { UInt64(bytes.count) }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(VaultError) {
        guard offset <= length, UInt64(buffer.count) <= length - offset else {
            throw .damaged("\(name) ends before a range that starts at \(offset)")
        }
        buffer.copyBytes(from: bytes[Int(offset)..<(Int(offset) + buffer.count)])
    }

    func prefetch(at offset: UInt64, length: Int) {}
}
