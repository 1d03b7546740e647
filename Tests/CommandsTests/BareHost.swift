import Foundation
import Glibc
import Testing

/// A root directory that holds a shell, a few stock tools with the libraries they name, and nothing else: what opens there needs
/// no more. Root changes to it with `chroot`, others in a user namespace.
struct BareHost {
    let root: URL
    /// What a README may use: the four that it promises, and what every Linux has.
    private static let tools = [
        "openssl", "zstd", "tar", "sha256sum", "sh", "cat", "head", "ls", "mkdir", "sed", "test",
    ]

    init(in folder: URL) throws {
        root = folder.appending(path: "bare-\(UUID().uuidString)")
        let bin = root.appending(path: "usr/bin")
        try FileManager.default.createDirectory(at: bin, withIntermediateDirectories: true)
        for (link, place) in [("bin", "usr/bin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")] {
            try FileManager.default.createSymbolicLink(atPath: root.path + "/" + link, withDestinationPath: place)
        }
        for tool in Self.tools {
            let program = "/usr/bin/\(tool)"
            try FileManager.default.copyItem(
                at: URL(filePath: program).resolvingSymlinksInPath(), to: bin.appending(path: tool))
            for library in try Self.libraries(of: program, in: folder) { try copy(library) }
        }
        try FileManager.default.createDirectory(at: root.appending(path: "tmp"), withIntermediateDirectories: true)
    }

    /// The whole paths in what `ldd` prints.
    private static func libraries(of program: String, in folder: URL) throws -> [String] {
        let told = try ProcessRunner.run("/usr/bin/ldd", [program], environment: ["PATH": "/usr/bin:/bin"], in: folder)
        try #require(told.status == 0, "\(told.errorText)")
        return told.outputText.split(whereSeparator: \.isWhitespace).filter { $0.hasPrefix("/") }.map(String.init)
    }

    /// To the same name, whatever links lead there.
    private func copy(_ library: String) throws {
        let name = library.hasPrefix("/lib") ? "/usr" + library : library
        let copy = root.appending(path: String(name.dropFirst()))
        guard !FileManager.default.fileExists(atPath: copy.path) else { return }
        try FileManager.default.createDirectory(
            at: copy.deletingLastPathComponent(), withIntermediateDirectories: true)
        try FileManager.default.copyItem(at: URL(filePath: library).resolvingSymlinksInPath(), to: copy)
    }

    /// Runs a script, of which all paths begin at the root, with the variables given and no others.
    func run(_ script: String, _ variables: [String: String]) throws -> Finished {
        try Data(script.utf8).write(to: root.appending(path: "commands"))
        let enter =
            geteuid() == 0
            ? ["/usr/sbin/chroot", root.path] : ["/usr/bin/unshare", "--map-root-user", "--root=\(root.path)"]
        return try ProcessRunner.run(
            enter[0], Array(enter.dropFirst()) + ["/bin/sh", "/commands"],
            environment: variables.merging(["PATH": "/bin"]) { $1 }, in: root)
    }
}
