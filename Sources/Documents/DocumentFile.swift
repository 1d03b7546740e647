import Glibc

/// Files that hold documents.
enum DocumentFile {
    /// The whole file, or one byte more than a document may have. A document may come through a pipe, which is waited
    /// for; not so where it is only found in a folder.
    static func contents(_ path: String, waits: Bool = true) throws(DocumentsError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (waits ? 0 : O_NONBLOCK))
        guard descriptor >= 0 else {
            let reason = errno
            let isMissing = reason == ENOENT || reason == ENOTDIR
            throw DocumentsError(isMissing ? .missing : .unreadable, file: path, underlying: words(reason))
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= YAMLDocument.maximumBytes {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count == 0 { break }
            if count < 0 {
                let reason = errno
                if reason == EINTR { continue }
                throw DocumentsError(.unreadable, file: path, underlying: words(reason))
            }
            bytes.append(contentsOf: buffer[..<count])
        }
        return bytes
    }

    /// The names of the YAML files in a folder, hidden ones aside, in the order of their bytes.
    static func names(in folder: String) throws(DocumentsError) -> [String] {
        guard let directory = opendir(folder) else {
            let reason = errno
            throw DocumentsError(reason == ENOENT ? .missing : .unreadable, file: folder, underlying: words(reason))
        }
        defer { closedir(directory) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(directory) else {
                let reason = errno
                if reason == 0 { break }
                throw DocumentsError(.unreadable, file: folder, underlying: words(reason))
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) { name in
                name.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
            }
            if !name.hasPrefix("."), name.hasSuffix(".yaml") || name.hasSuffix(".yml") { names.append(name) }
        }
        return names.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
    }

    /// The path of `name` in the folder of the file at `path`.
    static func beside(_ path: String, _ name: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return name }
        return path[...slash] + name
    }

    private static func words(_ number: Int32) -> String {
        strerror(number).map { String(cString: $0) } ?? "error \(number)"
    }
}
