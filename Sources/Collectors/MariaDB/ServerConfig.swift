import Domain
import Glibc

/// Configuration of a server below a root of the archive, each path under its full name. What cannot be read is a problem, and the
/// rest goes on.
final class ServerConfig {
    /// Configuration is small; what is larger is something else.
    static let fileLimit = 4 << 20

    private let under: [UInt8]
    private let problems: ProblemLog
    private var walker: FileTreeWalker?
    private var first: Entry?

    init(_ paths: [String], under: String, modified: Timestamp, problems: ProblemLog) {
        self.under = Array(under.utf8)
        self.problems = problems
        guard !paths.isEmpty else { return }
        first = .made(under, kind: .directory, modified: modified)
        var known: [[UInt8]] = []
        for path in paths {
            var info = stat()
            if lstat(path, &info) == 0 {
                known.append(Array(path.utf8))
            } else {
                problems.add(
                    FileProblem(path: self.under + Array(path.utf8), what: .unreadable, systemError: errno))
            }
        }
        guard !known.isEmpty else { return }
        do {
            walker = try FileTreeWalker(WalkOptions(roots: known))
        } catch {
            problems.add(FileProblem(path: self.under, what: .unreadable, detail: error.message))
        }
    }

    func next() throws(CollectorError) -> DataItem? {
        if let entry = first {
            first = nil
            return .entry(entry, content: nil)
        }
        while let walker, try walker.next() {
            if let item = try item(walker) { return item }
        }
        if let walker { for problem in walker.problems.take() { problems.add(problem) } }
        walker = nil
        return nil
    }

    private func item(_ walker: FileTreeWalker) throws(CollectorError) -> DataItem? {
        var entry = walker.entry
        entry.path = under + [0x2F] + walker.entry.path
        do throws(CollectorError) {
            guard walker.entry.kind == .file else {
                if walker.entry.kind == .socket { return nil }
                try walker.loadDetails()
                entry.linkTarget = walker.entry.linkTarget
                entry.attributes = walker.entry.attributes
                return .entry(entry, content: nil)
            }
            guard entry.size <= UInt64(Self.fileLimit) else {
                problems.add(
                    FileProblem(path: entry.path, what: .unreadable, detail: "more than \(Self.fileLimit >> 20) MiB"))
                return nil
            }
            let file = try walker.open()
            try walker.loadDetails(using: file)
            let path = entry.path
            entry = walker.entry
            entry.path = path
            // Several names of one file: each is read by itself.
            entry.linkCount = 1
            var bytes = [UInt8](repeating: 0, count: Int(entry.size))
            var count = 0
            if !bytes.isEmpty {
                let result = bytes.withUnsafeMutableBytes { room in
                    Result { () throws(CollectorError) in try file.read(into: room, at: 0) }
                }
                count = try result.get()
            }
            let content = Array(bytes[..<count])
            return .entry(entry, content: MadeContent { content })
        } catch {
            problems.add(FileProblem(path: entry.path, what: .unreadable, detail: error.message))
            return nil
        }
    }
}
