/// Decides, from how far files were read and what stands in their directory now, what is to be read.
///
/// Invariants:
/// 1. A byte is read once: a file is known by its device, its inode and the digests of its first bytes and of those
///    before the place that was reached, whatever its name is by now.
/// 2. A byte that cannot be read any more, or may not, is a finding. Where it is not certain whether bytes were read,
///    they are read again rather than left out.
/// 3. Rests of rotated files come before the files that took their names.
/// 4. Nothing here reads a file: `matches` tells whether bytes that end at an offset have a mark; of a compressed file the
///    offsets are those of what it holds, which nobody knows the length of.
package struct LogFollowing {
    /// A file of a source's directory.
    package struct File: Sendable {
        package var path: String
        package var name: String
        package var device: UInt64
        package var inode: UInt64
        package var size: UInt64
        /// Seconds since 1970 and nanoseconds, as one number that orders.
        package var modified: Int64
        /// Whether the source names it; else it can only be a rotation of one that it names.
        package var isNamed: Bool
        package var isCompressed: Bool
        /// It is compressed in a way that can be read.
        package var isExpandable: Bool

        package init(
            path: String, name: String, device: UInt64, inode: UInt64, size: UInt64, modified: Int64, isNamed: Bool,
            isCompressed: Bool, isExpandable: Bool = false
        ) {
            self.isExpandable = isExpandable && isCompressed
            self.path = path
            self.name = name
            self.device = device
            self.inode = inode
            self.size = size
            self.modified = modified
            self.isNamed = isNamed
            self.isCompressed = isCompressed
        }
    }

    /// One file to be read from an offset to its end.
    package struct Reading: Sendable, Equatable {
        /// The index of the file in what was given.
        package var file: Int
        package var from: UInt64
        /// Its cursor so far, moved to its present name; nil where the marks are still to be made. Of a compressed file
        /// that of the log whose rest it holds.
        package var cursor: LogCursor?
        package var stem: String
        /// Nobody completes its last line any more.
        package var isRotated: Bool
        /// Only its marks are wanted: its bytes are known, or history from before the source was followed.
        package var isSkipped: Bool
        package var isCopy: Bool
    }

    package struct Plan: Sendable {
        package var readings: [Reading] = []
        package var findings: [LogFinding] = []
    }

    /// Compressed files that are looked into for one log, the newest first: whoever may write into a directory of logs could
    /// put thousands there.
    private static let expandedCandidates = 64

    private let files: [File]
    private let isFirst: Bool
    private var plan = Plan()
    private var used: Set<Int> = []
    /// Cursors whose file is there and no longer holds what was read.
    private var emptied: [(cursor: LogCursor, file: Int)] = []
    private var vanished: [LogCursor] = []
    private var intact: [LogCursor] = []
    /// Files that begin anew, and are read after what was rotated away from them.
    private var restarted: [Int] = []
    /// Files that went after they were read; each explains one compressed file that came.
    private var compressedExpected = 0

    private init(_ files: [File], isFirst: Bool) {
        self.files = files
        self.isFirst = isFirst
    }

    /// Without cursors it is the first look at the source: what already was rotated away is history from before it.
    package static func plan<Problem: Error>(
        _ cursors: [LogCursor]?, _ files: [File],
        matches: (_ file: Int, _ mark: LogMark, _ end: UInt64) throws(Problem) -> Bool
    ) throws(Problem) -> Plan {
        var following = LogFollowing(files, isFirst: cursors == nil)
        try following.follow(cursors ?? [], matches)
        try following.findEmptied(matches)
        try following.findVanished(matches)
        try following.takeNew(cursors ?? [], matches)
        return following.plan
    }

    private mutating func follow<Problem: Error>(
        _ cursors: [LogCursor], _ matches: (Int, LogMark, UInt64) throws(Problem) -> Bool
    ) throws(Problem) {
        var places: [[UInt64]: Int] = [:]
        for (index, file) in files.enumerated() { places[[file.device, file.inode]] = index }
        for cursor in cursors where cursor.isSound {
            guard let index = places[[cursor.device, cursor.inode]], !used.contains(index) else {
                vanished.append(cursor)
                continue
            }
            let file = files[index]
            let wasCompressed = LogName.isCompressed(Array(cursor.path.utf8))
            if wasCompressed != file.isCompressed {
                // The number was given to another file.
                vanished.append(cursor)
                continue
            }
            var moved = cursor
            moved.path = file.path
            moved.isRotated = cursor.isRotated || file.path != cursor.path || !file.isNamed
            if file.isCompressed {
                used.insert(index)
                add(index, from: cursor.offset, moved, isSkipped: true)
                continue
            }
            let isEmpty = cursor.size == 0 || file.path == cursor.path && file.size >= cursor.size
            if cursor.offset == 0, !cursor.isCopy, isEmpty {
                // Nothing of it was read: it is like a new one.
                continue
            }
            if file.size >= cursor.size, try Self.holds(cursor, index, file, matches) {
                used.insert(index)
                intact.append(cursor)
                add(index, from: cursor.offset, moved, isSkipped: cursor.isCopy)
            } else if cursor.isCopy {
                // What it was a copy of is followed itself; this is something new now.
                continue
            } else if cursor.isRotated, file.path != cursor.path, try !Self.begins(cursor, index, file, matches) {
                // The rotated file went, and a new one has its number.
                vanished.append(cursor)
            } else {
                used.insert(index)
                emptied.append((moved, index))
            }
        }
    }

    /// Whether a file holds, at the same places, what was read under a cursor.
    private static func holds<Problem: Error>(
        _ cursor: LogCursor, _ index: Int, _ file: File,
        _ matches: (Int, LogMark, UInt64) throws(Problem) -> Bool
    ) throws(Problem) -> Bool {
        guard file.size >= cursor.offset else { return false }
        return try hasMarks(cursor, index, matches)
    }

    private static func hasMarks<Problem: Error>(
        _ cursor: LogCursor, _ index: Int, _ matches: (Int, LogMark, UInt64) throws(Problem) -> Bool
    ) throws(Problem) -> Bool {
        if cursor.tail.length > 0 {
            guard try matches(index, cursor.tail, cursor.offset) else { return false }
        }
        guard cursor.head.length > 0 else { return true }
        return try matches(index, cursor.head, UInt64(cursor.head.length))
    }

    /// Whether a file begins as the one that was read under a cursor.
    private static func begins<Problem: Error>(
        _ cursor: LogCursor, _ index: Int, _ file: File,
        _ matches: (Int, LogMark, UInt64) throws(Problem) -> Bool
    ) throws(Problem) -> Bool {
        guard cursor.head.length > 0, file.size >= UInt64(cursor.head.length) else { return false }
        return try matches(index, cursor.head, UInt64(cursor.head.length))
    }

    private mutating func add(
        _ file: Int, from: UInt64, _ cursor: LogCursor, isSkipped: Bool = false
    ) {
        plan.readings.append(
            Reading(
                file: file, from: from, cursor: cursor, stem: cursor.stem, isRotated: cursor.isRotated,
                isSkipped: isSkipped, isCopy: cursor.isCopy))
    }

    /// The file that has what was read under a cursor, under another number: a copy, or the file in a new place.
    private func successor<Problem: Error>(
        of cursor: LogCursor, _ matches: (Int, LogMark, UInt64) throws(Problem) -> Bool
    ) throws(Problem) -> Int? {
        for (index, file) in files.enumerated() where !file.isCompressed && file.size >= cursor.size {
            let isKnownCopy = plan.readings.contains { $0.file == index && $0.isCopy }
            guard !used.contains(index) || isKnownCopy, file.name.hasPrefix(cursor.stem) else { continue }
            if try Self.holds(cursor, index, file, matches) { return index }
        }
        // Compressed since: its bytes are the same ones.
        guard cursor.head.length > 0 else { return nil }
        let candidates = files.indices.filter { isUnreadRotation($0, of: cursor) }
            .sorted { files[$0].modified > files[$1].modified }.prefix(Self.expandedCandidates)
        for index in candidates where try Self.hasMarks(cursor, index, matches) { return index }
        return nil
    }

    /// Whether a compressed file that can be read has a name of the cursor's rotations, and nobody knows it yet.
    private func isUnreadRotation(_ index: Int, of cursor: LogCursor) -> Bool {
        files[index].isExpandable && !used.contains(index) && files[index].name.hasPrefix(cursor.stem)
    }

    /// Files that were emptied, as `copytruncate` does, replaced in place, or changed.
    private mutating func findEmptied<Problem: Error>(
        _ matches: (Int, LogMark, UInt64) throws(Problem) -> Bool
    ) throws(Problem) {
        // What can be known by its marks first, so that only what nobody knows is left for the others.
        for (cursor, index) in emptied.sorted(by: { $0.cursor.offset > 0 && $1.cursor.offset == 0 }) {
            let file = files[index]
            if cursor.offset == 0 {
                restarted.append(index)
                let isElsewhere = files.indices.contains {
                    !used.contains($0) && files[$0].name.hasPrefix(cursor.stem) && files[$0].size >= cursor.size
                        && !files[$0].isCompressed || isUnreadRotation($0, of: cursor)
                }
                if !isElsewhere { findGap(cursor) }
                continue
            }
            if let copy = try successor(of: cursor, matches), copy != index {
                takeRest(copy, of: cursor)
                restarted.append(index)
                continue
            }
            let isTailThere = try Self.holds(cursor, index, file, matches)
            if isTailThere {
                // What was not yet sealed shrank: an incomplete line, mostly.
                let lost = cursor.size - min(cursor.size, file.size)
                plan.findings.append(
                    LogFinding(
                        .gap, path: cursor.path, "was cut by \(lost) bytes at least that were not sealed"))
                add(index, from: cursor.offset, cursor)
            } else if try Self.begins(cursor, index, file, matches) {
                let place = min(cursor.offset, file.size)
                let what =
                    file.size < cursor.offset
                    ? "was cut from \(cursor.offset) to \(file.size) bytes, of which all had been sealed"
                    : "differs from what was sealed, before byte \(cursor.offset)"
                plan.findings.append(LogFinding(.altered, path: cursor.path, what))
                addUnmarked(index, from: place, cursor)
            } else {
                findGap(cursor)
                restarted.append(index)
            }
        }
    }

    private mutating func findGap(_ cursor: LogCursor) {
        compressedExpected += 1
        plan.findings.append(
            LogFinding(
                .gap, path: cursor.path,
                "was emptied or replaced; what was written after byte \(cursor.offset) is not known"))
    }

    /// The rest of `cursor` is read from a copy of its file.
    private mutating func takeRest(_ copy: Int, of cursor: LogCursor) {
        plan.readings.removeAll { $0.file == copy }
        used.insert(copy)
        plan.readings.append(
            Reading(
                file: copy, from: cursor.offset, cursor: files[copy].isCompressed ? cursor : nil, stem: cursor.stem,
                isRotated: true, isSkipped: false, isCopy: false))
    }

    private mutating func addUnmarked(_ index: Int, from: UInt64, _ cursor: LogCursor) {
        plan.readings.append(
            Reading(
                file: index, from: from, cursor: nil, stem: cursor.stem, isRotated: cursor.isRotated,
                isSkipped: false, isCopy: false))
    }

    private mutating func addNew(
        _ index: Int, stem: String, isRotated: Bool, isSkipped: Bool = false, isCopy: Bool = false
    ) {
        used.insert(index)
        plan.readings.append(
            Reading(
                file: index, from: isSkipped ? files[index].size : 0, cursor: nil, stem: stem, isRotated: isRotated,
                isSkipped: isSkipped, isCopy: isCopy))
    }

    /// Files that are there no more.
    private mutating func findVanished<Problem: Error>(
        _ matches: (Int, LogMark, UInt64) throws(Problem) -> Bool
    ) throws(Problem) {
        for cursor in vanished.sorted(by: { $0.offset > 0 && $1.offset == 0 }) {
            if LogName.isCompressed(Array(cursor.path.utf8)) { continue }
            if cursor.isCopy {
                if let place = try successor(of: cursor, matches), files[place].isCompressed {
                    addNew(place, stem: cursor.stem, isRotated: true, isSkipped: true)
                } else {
                    compressedExpected += 1
                }
                continue
            }
            let unread = cursor.size - cursor.offset
            if cursor.offset > 0, let place = try successor(of: cursor, matches) {
                takeRest(place, of: cursor)
                // Written anew by an editor, it keeps its name and goes on.
                if files[place].path == cursor.path { plan.readings[plan.readings.count - 1].isRotated = false }
                continue
            }
            // Nothing of it was read: it is read as a whole, where it is compressed by now.
            if cursor.offset == 0, files.indices.contains(where: { isUnreadRotation($0, of: cursor) }) { continue }
            compressedExpected += 1
            if cursor.isRotated {
                if unread == 0 { continue }
                plan.findings.append(
                    LogFinding(.gap, path: cursor.path, "went before its last \(unread) bytes were sealed"))
            } else {
                plan.findings.append(
                    LogFinding(
                        .gap, path: cursor.path,
                        "went between two runs; what was written after byte \(cursor.offset) is not known"))
            }
        }
    }

    /// Files that no cursor knows: rotated ones first, older before younger.
    private mutating func takeNew<Problem: Error>(
        _ cursors: [LogCursor], _ matches: (Int, LogMark, UInt64) throws(Problem) -> Bool
    ) throws(Problem) {
        used.subtract(restarted)
        let stems = Set(cursors.map(\.stem) + files.filter { $0.isNamed && !$0.isCompressed }.map(\.name))
        let new = files.indices.filter { !used.contains($0) }.sorted { a, b in
            let (x, y) = (files[a], files[b])
            if x.isNamed != y.isNamed { return y.isNamed }
            return x.modified != y.modified ? x.modified < y.modified : x.path < y.path
        }
        for index in new {
            let file = files[index]
            let stem = stems.filter { file.name.hasPrefix($0) && file.name != $0 }.max { $0.utf8.count < $1.utf8.count }
            if file.isCompressed {
                guard let stem else { continue }
                var isRead = false
                if !isFirst {
                    if compressedExpected > 0 {
                        compressedExpected -= 1
                    } else if file.isExpandable {
                        // It came and was compressed between two runs.
                        isRead = true
                    } else {
                        plan.findings.append(
                            LogFinding(.gap, path: file.path, "is the compressed rest of a log that nobody had read"))
                    }
                }
                addNew(index, stem: stem, isRotated: true, isSkipped: !isRead)
                continue
            }
            guard file.isNamed || stem != nil else { continue }
            let isCopy = try isCopyOfOneFollowed(index, file, matches)
            let isHistory = isFirst && !file.isNamed
            addNew(
                index, stem: stem ?? file.name, isRotated: !file.isNamed || isCopy, isSkipped: isCopy || isHistory,
                isCopy: isCopy)
        }
    }

    /// A copy with a rotation's name of a file that is still whole: `copytruncate` may be half done. Of a short one it
    /// is not certain, and it is read.
    private func isCopyOfOneFollowed<Problem: Error>(
        _ index: Int, _ file: File, _ matches: (Int, LogMark, UInt64) throws(Problem) -> Bool
    ) throws(Problem) -> Bool {
        for cursor in intact where !cursor.isCopy && cursor.offset >= 256 {
            guard file.name != cursor.stem, file.name.hasPrefix(cursor.stem) else { continue }
            if file.size >= cursor.offset {
                if try Self.holds(cursor, index, file, matches) { return true }
            } else if cursor.head.length == LogMark.longest, file.size >= UInt64(LogMark.longest) {
                // Still being copied.
                if try matches(index, cursor.head, UInt64(LogMark.longest)) { return true }
            }
        }
        return false
    }
}
