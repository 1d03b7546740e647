import Foundation

/// The repository as it stands around this file: what people wrote, not what was built or measured.
struct Repository: Sendable {
    /// Three levels above this file.
    static let home = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    let root: URL
    let files: [SourceFile]

    private static let folders = [
        "Sources", "Tests", "Benchmarks", "Policies", "Runbooks", "docs", "packaging", "scripts", ".ci",
    ]
    private static let topLevel = ["Package.swift", "Makefile", "README.md", "CONTRIBUTING.md", ".gitignore"]
    /// Bytes; larger ones are vectors and corpora, not text for people.
    private static let largestText = 1 << 20

    init() throws {
        root = Self.home
        var found: [SourceFile] = []
        for name in Self.topLevel + Self.folders {
            try Self.collect(name, root: root, into: &found)
        }
        files = found
    }

    private static func collect(_ path: String, root: URL, into found: inout [SourceFile]) throws {
        let url = root.appendingPathComponent(path)
        guard let values = try? url.resourceValues(forKeys: [.isDirectoryKey, .isRegularFileKey, .fileSizeKey]) else {
            return
        }
        if values.isDirectory == true {
            for name in try FileManager.default.contentsOfDirectory(atPath: url.path).sorted()
            where name != "__pycache__" {
                try collect("\(path)/\(name)", root: root, into: &found)
            }
        } else if values.isRegularFile == true, let size = values.fileSize, size <= largestText {
            // Corpora and vectors are bytes; whatever is not UTF-8 is not text that a rule could read.
            guard let text = String(data: try Data(contentsOf: url), encoding: .utf8) else { return }
            found.append(SourceFile(path: path, text: text))
        }
    }

    var swift: [SourceFile] { files.filter { $0.path.hasSuffix(".swift") } }
    var sources: [SourceFile] { swift.filter { $0.path.hasPrefix("Sources/") } }
    var documents: [SourceFile] { files.filter { $0.path.hasSuffix(".md") } }
    var byPath: [String: SourceFile] { Dictionary(files.map { ($0.path, $0) }) { first, _ in first } }

    func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: root.appendingPathComponent(path).path)
    }
}
