// Invariants of every store:
//
// 1. An object is never seen half written: it appears under its name complete, or not at all.
// 2. What `put`, `putIfAbsent` or `finish` acknowledged survives a power cut: the bytes were synced, then named, then
//    the directory (and every new directory above it) was synced. An error means an unknown outcome, never success.
// 3. A failed sync is never repeated on the same file: the kernel may have dropped the pages and report success next.
// 4. Absence is reported only where the storage said that the object does not exist; every other failure is an error,
//    and a listing is complete or an error.
// 5. Bytes, lengths and names that come back are hostile: nothing is trusted, every read is bounded by the caller.

/// An object as a listing shows it.
package struct ObjectInfo: Hashable, Sendable {
    package var name: String
    /// Bytes.
    package var length: UInt64

    package init(name: String, length: UInt64) {
        self.name = name
        self.length = length
    }
}

/// What became of an attempt to be the first under a name.
package enum PutOutcome: Sendable, Hashable {
    /// This call created the object.
    case created
    /// The name was taken by the very same bytes, which are durable now.
    case alreadyThere
    /// The name is taken by other bytes; nothing was changed.
    case exists
}

/// Where a vault keeps its objects.
///
/// Names are relative: one to four components of `[a-z0-9._-]`, none starting with a dot, the first not `tmp`
/// (see ``ObjectName``). All calls block and may come from any thread.
package protocol Store: AnyObject, Sendable {
    /// Names the place in messages.
    var describe: String { get }

    /// Stores `bytes` under `name`, replacing what is there. Durable when it returns.
    ///
    /// For objects named by their content; writing one twice is harmless.
    func put(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(VaultError)

    /// Stores `bytes` under `name` unless the name is taken. Durable when it returns `created` or `alreadyThere`.
    ///
    /// Among any number of racing callers at most one gets `created`.
    func putIfAbsent(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(VaultError) -> PutOutcome

    /// Reads exactly `length` bytes from `offset` into the start of `buffer`.
    ///
    /// Fails with `missingObject` when there is no such object, with `damaged` when it ends before the range does.
    func get(
        _ name: String, offset: UInt64, length: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(VaultError)

    /// Reads a whole object of at most `limit` bytes; fails with `limit` when it is larger.
    func get(_ name: String, limit: Int) throws(VaultError) -> [UInt8]

    /// Bytes of the object, nil only when it does not exist.
    func length(of name: String) throws(VaultError) -> UInt64?

    /// Every object in `directory` and in the directories directly below it, sorted by name; empty when there is no
    /// such directory. The empty name lists the objects that lie in no directory, and those only.
    func list(_ directory: String) throws(VaultError) -> [ObjectInfo]

    /// Removes the object, durably. Succeeds when it is already gone, so that an interrupted sweep can be repeated.
    func delete(_ name: String) throws(VaultError)

    /// Begins a large object that is written front to back. `sizeHint` is the expected length in bytes, 0 if unknown.
    func create(_ name: String, sizeHint: Int) throws(VaultError) -> any ObjectUpload

    /// Removes what writers left that died in the middle of an object; returns how many files. A store that keeps nothing
    /// of the kind has nothing to do.
    @discardableResult
    func removeStaleTemporaries() throws(VaultError) -> Int

    /// Opens an object for repeated ranged reads; it stays readable when it is deleted meanwhile.
    func open(_ name: String) throws(VaultError) -> any ObjectReader
}

/// A large object on its way into a store; used by one thread. Dropping it without `finish` discards it.
package protocol ObjectUpload: AnyObject {
    /// Adds bytes at the end. The bytes are copied; an error of an earlier write may surface here.
    func append(_ bytes: UnsafeRawBufferPointer) throws(VaultError)
    /// Makes the object durable and visible under its name, replacing what is there. Call once.
    func finish() throws(VaultError)
    /// Discards the object; harmless after `finish` or a second time.
    func abort()
}

/// An open object; reads may come from several threads.
package protocol ObjectReader: AnyObject, Sendable {
    /// Bytes, when it was opened.
    var length: UInt64 { get }
    /// Fills the whole of `buffer` from `offset`; fails with `damaged` when the object ends before.
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(VaultError)
    /// Says that the range will be read soon. A hint: it returns at once and cannot fail.
    func prefetch(at offset: UInt64, length: Int)
}

extension Store {
    package func put(_ name: String, _ bytes: [UInt8]) throws(VaultError) {
        try bytes.span.withUnsafeBytes { (raw) throws(VaultError) in try put(name, raw) }
    }

    package func putIfAbsent(_ name: String, _ bytes: [UInt8]) throws(VaultError) -> PutOutcome {
        try bytes.span.withUnsafeBytes { (raw) throws(VaultError) in try putIfAbsent(name, raw) }
    }
}

extension [UInt8] {
    /// Lends the array's memory for writing; unlike the library's function this one keeps the type of the error.
    mutating func fill(
        _ body: (UnsafeMutableRawBufferPointer) throws(VaultError) -> Void
    ) throws(VaultError) {
        var span = mutableSpan
        try span.withUnsafeMutableBytes { (raw) throws(VaultError) in try body(raw) }
    }
}

/// A name that passed the rules, cut into its directory and its last component.
package struct ObjectName: Hashable, Sendable {
    package static let maximumComponents = 4
    package static let maximumComponentBytes = 128
    /// Where unfinished objects live; never part of an object's name.
    package static let temporaryDirectory = "tmp"

    package let text: String
    package let directory: [String]
    package let last: String

    /// Fails with `invalidInput`; a name that was read from storage must be checked by the reader before.
    package init(_ text: String) throws(VaultError) {
        let components = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard let last = components.last, components.count <= Self.maximumComponents,
            components.allSatisfy({ Self.isComponent($0.utf8) }), components[0] != Self.temporaryDirectory
        else { throw VaultError(.invalidInput, "\"\(text)\" is not the name of an object") }
        self.text = text
        self.directory = Array(components.dropLast())
        self.last = last
    }

    /// Parses the name of a directory of objects; the empty name is the top.
    package static func directory(_ text: String) throws(VaultError) -> [String] {
        if text.isEmpty { return [] }
        let name = try ObjectName(text)
        guard name.directory.count < Self.maximumComponents - 1 else {
            throw VaultError(.invalidInput, "\"\(text)\" is too deep for a directory of objects")
        }
        return name.directory + [name.last]
    }

    /// Whether the bytes may stand between two slashes of a name.
    package static func isComponent(_ bytes: some Collection<UInt8>) -> Bool {
        guard let first = bytes.first, first != 0x2E, bytes.count <= maximumComponentBytes else { return false }
        return bytes.allSatisfy { byte in
            switch byte {
            case 0x61...0x7A, 0x30...0x39, 0x2E, 0x5F, 0x2D: true
            default: false
            }
        }
    }
}

extension Store {
    @discardableResult
    package func removeStaleTemporaries() throws(VaultError) -> Int { 0 }
}
