package import Domain

/// Reads one ``DataSource`` as ordered entries below its root.
///
/// The caller keeps to this order: ``next()`` until nil or an error, then ``close()``; ``facts`` after that. The content
/// of an entry is read, front to back, before the content of any later one.
package protocol DataCollector: AnyObject {
    /// The next item; nil at the end. Entries come in ``PathOrder``, directories before what is in them, the root itself
    /// first. An error ends the source: the run is partial, and the source is not whole.
    func next() throws -> DataItem?
    /// Called once, whatever became of the run: lets go of connections, programs, temporary files.
    func close()
    /// Called after ``close()`` when the archive that holds everything handed out is committed: what the next run goes on from is
    /// noted here and never earlier.
    func committed()
    /// What was learnt; complete after the last item.
    var facts: SourceFacts { get }
    /// What kept single entries from being read, while the source went on.
    var problems: ProblemLog { get }
}

extension DataCollector {
    package func committed() {}
}

package enum DataItem {
    case entry(Entry, content: (any DataContent)?)
    /// Everything handed out before must be in the archive before the next item is asked for: an end that is only known,
    /// or a state that is only released, when the bytes before it were read.
    case barrier
}

/// The bytes of one file of a data source.
package protocol DataContent: AnyObject {
    /// Of a stream the size is not known before its end: the entry's size does not count, and its stamps prove nothing.
    var isStream: Bool { get }
    /// Bytes of every chunk but the last, where the content has pages that stay in their places; nil lets the content
    /// decide.
    var chunkBytes: Int? { get }
    /// Bytes of the chunk that begins at `offset`, where the content knows its parts; more than was read so far asks for more of it
    /// first.
    func chunkBytes(at offset: UInt64) -> Int?
    /// Whether an entry with the same stamps as last time has the same content.
    var isKnownByStamp: Bool { get }
    /// Fills `buffer` from `offset` on; fewer bytes only at the end. Of a stream, offsets only ever rise.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws -> Int
    /// The next run of data at or after `offset`; nil when only a hole follows.
    func nextData(from offset: UInt64) throws -> Range<UInt64>?
    /// After the last read: whether it changed meanwhile.
    func hasChanged() throws -> Bool
}

extension DataContent {
    package var isStream: Bool { true }
    package var chunkBytes: Int? { nil }
    package func chunkBytes(at offset: UInt64) -> Int? { chunkBytes }
    package var isKnownByStamp: Bool { false }
    package func nextData(from offset: UInt64) throws -> Range<UInt64>? { offset..<UInt64.max }
    package func hasChanged() throws -> Bool { false }
}

/// Bytes that are there, as the content of a file.
package final class MadeContent: DataContent {
    private let make: () throws -> [UInt8]
    private var bytes: [UInt8]?

    /// `make` is called at the first read, once.
    package init(_ make: @escaping () throws -> [UInt8]) { self.make = make }

    package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws -> Int {
        let all = try bytes ?? make()
        bytes = all
        guard offset < UInt64(all.count) else { return 0 }
        let part = all[Int(offset)..<min(all.count, Int(offset) + buffer.count)]
        buffer.copyBytes(from: part)
        return part.count
    }
}

extension Entry {
    /// A directory or file that stands for something of a data source: no inode of this host, stamps that prove nothing.
    package static func made(
        _ path: String, kind: EntryKind = .file, permissions: UInt16? = nil, modified: Timestamp, size: UInt64 = 0
    ) -> Entry {
        var entry = Entry(
            path: Array(path.utf8), kind: kind, permissions: permissions ?? (kind == .directory ? 0o700 : 0o600),
            userID: 0, groupID: 0, size: size, modified: modified, changed: modified, device: 0, inode: 0, linkCount: 1)
        entry.isRacy = true
        return entry
    }
}
