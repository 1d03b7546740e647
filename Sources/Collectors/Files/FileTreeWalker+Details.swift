import CLinux
import Domain
import Glibc

/// What a walk tells about its current entry beyond `stat`.
extension FileTreeWalker {
    /// Adds what `stat` does not tell: target of a link, extended attributes, names of owner and group. What cannot be
    /// read becomes a problem.
    package func loadDetails() throws(CollectorError) {
        loadOwners()
        if entry.kind == .symlink { try loadLinkTarget() }
        let failure = names.withPointer(current) {
            attributes.read(.name($0, directory: directory), into: &entry.attributes)
        }
        if let failure { try report(failure) }
    }

    /// The same for a file that is open anyway: its attributes are read through it.
    package func loadDetails(using file: borrowing OpenFile) throws(CollectorError) {
        loadOwners()
        if let failure = attributes.read(.descriptor(file.descriptor.number), into: &entry.attributes) {
            try report(failure)
        }
    }

    private func report(_ failure: AttributeReader.Failure) throws(CollectorError) {
        if failure.number == ENOENT { return report(.vanished, ENOENT) }
        if failure.number == ENOMEM { try reportUnlessFatal(ENOMEM, what: .attributesUnread) }
        report(.attributesUnread, failure.number, detail: failure.detail)
    }

    private func loadOwners() {
        let path = entry.path
        let log = problems
        let report = { (number: Int32) in log.add(FileProblem(path: path, what: .ownerNameUnknown, systemError: number))
        }
        entry.userName = owners.user(entry.userID, report: report)
        entry.groupName = owners.group(entry.groupID, report: report)
    }

    private func loadLinkTarget() throws(CollectorError) {
        if linkBuffer.isEmpty { linkBuffer = [UInt8](repeating: 0, count: 4096) }
        while true {
            let count = linkBuffer.withUnsafeMutableBytes { buffer in
                names.withPointer(current) { tree_link_target(directory, $0, buffer.baseAddress, buffer.count) }
            }
            guard count >= 0 else {
                return try reportUnlessFatal(Int32(-count), what: count == -Int(ENOENT) ? .vanished : .linkUnread)
            }
            if count < linkBuffer.count {
                entry.linkTarget = Array(linkBuffer[..<count])
                entry.size = UInt64(count)
                return
            }
            guard linkBuffer.count < 1 << 20 else { return report(.linkUnread, ENAMETOOLONG) }
            linkBuffer = [UInt8](repeating: 0, count: linkBuffer.count * 4)
        }
    }

    /// Opens the current entry, a regular file, for reading. `.changed` when its name now stands for something else,
    /// `.notFound` when it vanished; the caller decides whether that stops it and records the problem.
    ///
    /// The entry has the stamp and the size of the open file from then on.
    ///
    /// Where contents are made up while they are read (proc, sysfs) the size that `stat` told means nothing: the file is read
    /// to its end here, and from then on the entry has the size of that.
    package func open() throws(CollectorError) -> OpenFile {
        guard entry.kind == .file else {
            throw CollectorError(.invalidInput, "\(entry.displayPath) is not a regular file")
        }
        let opened = names.withPointer(current) { Descriptor.openUntraced($0, in: directory, O_NONBLOCK) }
        switch consume opened {
        case .failure(let error):
            if goesAlone(after: error.number) { return try open() }
            throw CollectorError.system(error.number, "cannot open", entry.path)
        case .success(let descriptor):
            switch FileStatus.of(descriptor.number) {
            case .failure(let error): throw CollectorError.system(error.number, "cannot examine", entry.path)
            case .success(let status):
                let identity = FileIdentity(device: entry.device, inode: entry.inode)
                guard status.identity == identity, status.kind == .file else {
                    throw CollectorError(
                        .changed, "\(entry.displayPath) became something else before it was opened",
                        hint: "Try again when nothing changes the tree.")
                }
                // What the name was examined as may be older, and the stamp has to be that of what is read.
                Self.describe(&entry, .file, status)
                blocks = status.blocks
                guard isMadeUp(descriptor.number) else {
                    return OpenFile(descriptor: descriptor, path: entry.path, status: status)
                }
                try refuseStream()
                let content = try OpenFile.everything(in: descriptor.number, entry.path)
                entry.size = UInt64(content.count)
                // No holes: the blocks that such a file claims mean nothing either.
                blocks = (entry.size + 511) / 512
                return OpenFile(descriptor: descriptor, path: entry.path, status: status, content: content)
            }
        }
    }

    /// Some made-up files give each line to one reader only, or stand for the memory of devices: who reads them takes something
    /// away or changes it.
    private func refuseStream() throws(CollectorError) {
        let name = String(decoding: entry.path[(entry.path.lastIndex(of: 0x2F).map { $0 + 1 } ?? 0)...], as: UTF8.self)
        let isStream = ["kmsg", "kcore", "trace_pipe", "trace_pipe_raw"].contains(name)
        guard isStream || name.hasPrefix("resource") && entry.path.starts(with: "sys/".utf8) else { return }
        throw CollectorError(
            .limit, "\(entry.displayPath) is not read: reading changes it or the device behind it",
            hint: "Exclude it.")
    }

    /// Asked once for each file system, not for each file.
    private func isMadeUp(_ descriptor: Int32) -> Bool {
        if let known = lastAsked, known.device == entry.device { return known.isMadeUp }
        let isMadeUp = tree_is_made_up(descriptor) == 1
        lastAsked = (entry.device, isMadeUp)
        return isMadeUp
    }

    // MARK: Caches

    static let cacheTagName = Array("CACHEDIR.TAG".utf8)
    private static let cacheTagSignature = Array("Signature: 8a477f597d28d172789f06886806bc55".utf8)

    /// The index of a tag with the right beginning among the sorted names from `first` on.
    func cacheTag(from first: Int) -> Int? {
        guard let index = names.index(of: Self.cacheTagName, in: first..<names.count) else { return nil }
        let opened = names.withPointer(index) { Descriptor.openUntraced($0, in: directory, O_NONBLOCK) }
        guard case .success(let descriptor) = consume opened else { return nil }
        guard case .success(let status) = FileStatus.of(descriptor.number), status.kind == .file else { return nil }
        let count = Self.cacheTagSignature.count
        return withUnsafeTemporaryAllocation(byteCount: count, alignment: 1) { buffer in
            guard pread(descriptor.number, buffer.baseAddress, count, 0) == count else { return nil }
            return buffer.elementsEqual(Self.cacheTagSignature) ? index : nil
        }
    }

    // MARK: Problems

    func report(_ what: FileProblem.What, _ number: Int32 = 0, detail: String = "") {
        problems.add(FileProblem(path: entry.path, what: what, systemError: number, detail: detail))
    }

    /// A lack of descriptors or memory would repeat itself with every entry and is no property of this one.
    func reportUnlessFatal(_ number: Int32, what: FileProblem.What) throws(CollectorError) {
        if number == EMFILE || number == ENFILE || number == ENOMEM {
            throw CollectorError.system(number, "cannot go on at", entry.path)
        }
        report(what, number)
    }
}
