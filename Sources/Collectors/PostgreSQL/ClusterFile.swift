import CLinux
import Domain
import Glibc

/// A file of a running cluster. It is opened when it is first read, beneath a directory and through no link.
///
/// Invariants:
/// 1. A file that is gone by then is an empty one: what dropped it is in the log of the archive.
/// 2. Of relations every page is verified; one that stays wrong is kept as it is, and found again by the next run.
/// 3. Large files are streams: a run that was interrupted never goes on in the middle of one.
final class ClusterFile: DataContent {
    /// Fixed parts of large files: a changed page changes one of them. Whole pages of every size that PostgreSQL knows.
    /// Smaller ones give less for a changed page and more parts to look up; the benchmark of databases chooses.
    static let partBytes = 256 << 10

    /// How the pages of a relation are to be verified.
    struct Pages {
        var size: Int
        /// Of the first page of this file in its relation.
        var firstBlock: UInt32
        var start: LSN
    }

    private static let pauses: [UInt32] = [2_000, 5_000, 20_000, 50_000, 100_000]
    /// After so many wrong pages of one file nobody waits for the others.
    private static let patience = 16

    private let path: [UInt8]
    private let entryPath: [UInt8]
    private let root: DirectoryHandle
    private let size: UInt64
    private let pages: Pages?
    private let findings: PageFindings
    private var descriptor: DirectoryHandle?
    private var isOpened = false
    private var wrongPages = 0

    /// `path` is relative to `root`.
    init(
        _ path: [UInt8], as entry: Entry, in root: DirectoryHandle, pages: Pages?, findings: PageFindings
    ) {
        self.path = path
        entryPath = entry.path
        size = entry.size
        self.root = root
        self.pages = pages
        self.findings = findings
    }

    var isStream: Bool { size > UInt64(Self.partBytes) }
    var chunkBytes: Int? { isStream && pages != nil ? Self.partBytes : nil }
    var isKnownByStamp: Bool { true }
    func hasChanged() throws -> Bool { wrongPages > 0 }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws -> Int {
        do {
            guard let file = try opened() else { return 0 }
            // Of a small file no more than it was listed with, so that one that grows does not seem to be changed.
            let room =
                isStream
                ? buffer : UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(Int(size - min(size, offset))))
            let count = try Self.read(file, room, offset, entryPath)
            if let pages { verify(UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]), offset, pages, file) }
            if count < buffer.count { descriptor = nil }
            return count
        } catch {
            findings.noteUnread()
            throw error
        }
    }

    /// Nil when it is gone.
    private func opened() throws(CollectorError) -> Int32? {
        if isOpened { return descriptor?.number }
        isOpened = true
        var number = CName(path).withPointer { tree_open_beneath(root.number, $0, O_RDONLY | O_NONBLOCK | O_NOFOLLOW) }
        // Where the kernel cannot be asked to stay beneath, the last name at least is no link.
        if number == -ENOSYS {
            number = CName(path).withPointer { tree_open(root.number, $0, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0) }
        }
        if number == -ENOENT { return nil }
        guard number >= 0 else { throw CollectorError.system(-number, "cannot open", entryPath) }
        let handle = DirectoryHandle(Descriptor(number))
        guard case .success(let status) = FileStatus.of(number), status.kind == .file else {
            throw CollectorError(.changed, "\(CollectorError.displayPath(entryPath)) is no file any more")
        }
        descriptor = handle
        return number
    }

    static func read(
        _ file: Int32, _ buffer: UnsafeMutableRawBufferPointer, _ offset: UInt64, _ path: [UInt8]
    ) throws(CollectorError) -> Int {
        var filled = 0
        while filled < buffer.count, let start = buffer.baseAddress {
            let count = pread(file, start + filled, buffer.count - filled, off_t(offset) + off_t(filled))
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw CollectorError.system(errno, "cannot read", path)
            }
            filled += count
        }
        return filled
    }

    /// All pages that lie whole in what was read: readers ask in multiples of a page.
    private func verify(_ bytes: UnsafeMutableRawBufferPointer, _ offset: UInt64, _ pages: Pages, _ file: Int32) {
        guard offset % UInt64(pages.size) == 0 else { return }
        var block = pages.firstBlock &+ UInt32(truncatingIfNeeded: offset / UInt64(pages.size))
        for at in stride(from: 0, through: bytes.count - pages.size, by: pages.size) {
            let page = UnsafeMutableRawBufferPointer(rebasing: bytes[at..<at + pages.size])
            if case .wrong(let lsn) = PageChecksum.check(UnsafeRawBufferPointer(page), block: block) {
                settle(page, at: offset + UInt64(at), block, lsn, pages, file)
            }
            block &+= 1
        }
    }

    /// A page may have been written while it was read: then it is right a moment later.
    private func settle(
        _ page: UnsafeMutableRawBufferPointer, at offset: UInt64, _ block: UInt32, _ first: LSN, _ pages: Pages,
        _ file: Int32
    ) {
        var lsn = first
        for pause in wrongPages < Self.patience ? Self.pauses : [] {
            usleep(pause)
            let count = (try? Self.read(file, page, offset, entryPath)) ?? 0
            // Shorter by now: the end was cut off, and that is in the log.
            guard count == page.count else { return }
            switch PageChecksum.check(UnsafeRawBufferPointer(page), block: block) {
            case .right: return
            case .wrong(let again): lsn = again
            }
        }
        wrongPages += 1
        if lsn >= pages.start {
            findings.noteTorn(entryPath, block: block, lsn: lsn)
        } else {
            findings.noteDamaged(entryPath, block: block)
        }
    }
}
