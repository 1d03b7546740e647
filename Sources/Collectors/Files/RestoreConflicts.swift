import CLinux
import Domain
import Glibc

/// How a restore makes a name, and what it does when the name is taken.
extension FileTreeRestorer {
    enum Outcome {
        case made(RestoringFile.Naming)
        /// Something else stays in its place; already accounted for.
        case left
        /// The system's error; it concerns this entry only.
        case failed(Int32)
    }

    private static let temporaryPrefix = ".qala-restore-"
    private static let attemptLimit = 1000

    /// Makes `name` in the current directory through `make`, which must not replace anything and returns an `errno`.
    ///
    /// `owner`: the user that the finished object belongs to. `unlinksFirst`: what exists is removed before, instead of
    /// being replaced at once by a finished object.
    func create(
        _ name: CName, _ path: [UInt8], owner: UInt32, unlinksFirst: Bool, _ make: (CName) -> Int32
    ) throws(CollectorError) -> Outcome {
        let code = make(name)
        if code == 0 { return .made(.direct(name)) }
        guard code == EEXIST else { return try failure(code, path) }
        if options.conflict != .refuse, removeUnfinished(name, owner) {
            let code = make(name)
            if code == 0 { return .made(.direct(name)) }
            if code != EEXIST { return try failure(code, path) }
        }
        switch options.conflict {
        case .refuse:
            throw CollectorError(
                .conflict, "\(CollectorError.displayPath(path)) exists already in the target",
                hint: "Restore into an empty directory, or say what to do with --conflict skip, overwrite or keep-both."
            )
        case .skip:
            leave()
            return .left
        case .keepBoth:
            for attempt in 1...Self.attemptLimit {
                let other = Self.secondName(for: name, attempt)
                let code = make(other)
                if code == 0 {
                    rename(to: other)
                    return .made(.direct(other))
                }
                if code != EEXIST { return try failure(code, path) }
            }
            return .failed(EEXIST)
        case .overwrite: return try replace(name, path, unlinksFirst: unlinksFirst, make)
        }
    }

    /// Removes what a restore of this account that ended before its time left under `name`: such a file is not whole,
    /// and nobody could read it. Other names that it has are removed in their turn.
    private func removeUnfinished(_ name: CName, _ owner: UInt32) -> Bool {
        guard case .success(let status) = name.withPointer({ FileStatus.of($0, in: directory.number) }),
            status.kind != .directory, status.kind != .symlink, status.permissions == MetadataWriter.unfinished,
            isOwn(status, owner)
        else { return false }
        return name.withPointer { unlinkat(directory.number, $0, 0) } == 0
    }

    /// Whether an unfinished object may be one that a restore of this account made. As root it changes hands before its
    /// permissions say that it is whole.
    func isOwn(_ status: FileStatus, _ owner: UInt32) -> Bool {
        status.userID == account || account == 0 && status.userID == owner
    }

    private func replace(
        _ name: CName, _ path: [UInt8], unlinksFirst: Bool, _ make: (CName) -> Int32
    ) throws(CollectorError) -> Outcome {
        if case .success(let status) = name.withPointer({ FileStatus.of($0, in: directory.number) }),
            status.kind == .directory
        {
            report(.kindConflict, 0, path)
            return .left
        }
        if unlinksFirst {
            // Without a flag this never removes a directory, should one have come in between.
            if name.withPointer({ unlinkat(directory.number, $0, 0) }) != 0, errno != ENOENT {
                return try failure(errno, path)
            }
            let code = make(name)
            return code == 0 ? .made(.direct(name)) : try failure(code, path)
        }
        for _ in 1...Self.attemptLimit {
            temporaryCount += 1
            let temporary = CName("\(Self.temporaryPrefix)\(getpid())-\(temporaryCount)".utf8)
            let code = make(temporary)
            if code == 0 { return .made(.replacing(temporary: temporary, name)) }
            if code != EEXIST { return try failure(code, path) }
        }
        return .failed(EEXIST)
    }

    /// Errors of making a name that the next entry would meet as well: they end the restore.
    static func concernsAll(_ number: Int32) -> Bool {
        [ENOSPC, EDQUOT, EROFS, EIO, EMFILE, ENFILE, ENOMEM, ENOTCONN, ESTALE].contains(number)
    }

    private func failure(_ number: Int32, _ path: [UInt8]) throws(CollectorError) -> Outcome {
        if Self.concernsAll(number) { throw CollectorError.system(number, "cannot make", path) }
        return .failed(number)
    }

    /// Puts an object that was made under a temporary name in its place. False is a problem, reported.
    @discardableResult
    func complete(_ naming: RestoringFile.Naming, _ path: [UInt8]) -> Bool {
        let number = naming.complete(in: directory.number)
        if number != 0 { report(.notReplaced, number, path) }
        return number == 0
    }

    /// `name.restored`, `name.restored-2` …, with the end of a long name cut off between characters.
    private static func secondName(for name: CName, _ attempt: Int) -> CName {
        let suffix = Array((attempt == 1 ? ".restored" : ".restored-\(attempt)").utf8)
        var kept = name.bytes
        if kept.count + suffix.count > Int(NAME_MAX) {
            kept = kept.prefix(Int(NAME_MAX) - suffix.count)
            while kept.count > 1, let last = name.bytes.dropFirst(kept.count).first, last & 0xC0 == 0x80 {
                kept.removeLast()
            }
        }
        return CName(Array(kept) + suffix)
    }
}

extension RestoringFile.Naming {
    /// Gives a finished object its name, at once for everybody who looks; 0 or an `errno`, and then the temporary name
    /// is gone.
    ///
    /// The names trade places and the old object goes, instead of a plain rename over it: that would make ext4 write
    /// out the content at once, file by file, which is several times slower.
    func complete(in directory: Int32) -> Int32 {
        guard case .replacing(let temporary, let name) = self else { return 0 }
        return temporary.withPointer { temporary in
            name.withPointer { name in
                let exchanged = tree_exchange(directory, temporary, name)
                if exchanged == 0 {
                    if unlinkat(directory, temporary, 0) == 0 { return 0 }
                    // A directory took the name in between: it goes back, and the new object goes.
                    let number = errno
                    _ = tree_exchange(directory, temporary, name)
                    _ = unlinkat(directory, temporary, 0)
                    return number
                }
                // The name vanished, or the file system cannot exchange.
                let number = renameat(directory, temporary, directory, name) == 0 ? 0 : errno
                // Also a success can leave it: between two names of one file.
                _ = unlinkat(directory, temporary, 0)
                return number
            }
        }
    }
}
