import Domain
import Glibc

/// The roots of a walk: resolved, without duplicates or roots inside roots, in the order of their paths.
///
/// The directories above a root are resolved, so that no ancestor of an entry is a link; the root itself stays a link
/// when it is one, unless it is written with a `/` at the end.
struct WalkRoots {
    struct Root {
        /// Relative to `/`; empty for `/` itself.
        var path: [UInt8]
        var components: [[UInt8]]
    }

    private(set) var all: [Root] = []
    /// The file systems that the roots are on.
    private(set) var devices: Set<UInt64> = []

    /// A directory that is held open: it alone, with nothing above it.
    init() { all = [Root(path: [], components: [])] }

    init(_ given: [[UInt8]]) throws(CollectorError) {
        guard !given.isEmpty else {
            throw CollectorError(.invalidInput, "the source has no root", hint: "Name at least one file or directory.")
        }
        var paths: [[UInt8]] = []
        for path in given {
            let resolved = try Self.resolve(path)
            switch CName(resolved).withPointer({ FileStatus.of($0, in: AT_FDCWD) }) {
            case .failure(let error): throw CollectorError.system(error.number, "cannot examine the source", path)
            case .success(let status): devices.insert(status.identity.device)
            }
            paths.append(Array(resolved.dropFirst()))
        }
        paths.sort { PathOrder.compare($0, $1) < 0 }
        for path in paths {
            if let last = all.last, PathOrder.isInside(path, last.path) { continue }
            all.append(Root(path: path, components: path.split(separator: 0x2F).map { Array($0) }))
        }
    }

    private static func resolve(_ path: [UInt8]) throws(CollectorError) -> [UInt8] {
        guard path.first == 0x2F, !path.contains(0) else {
            throw CollectorError(
                .invalidInput, "the source \(String(decoding: path, as: UTF8.self)) is not an absolute path",
                hint: "Begin it with a slash.")
        }
        let start = (path.lastIndex(of: 0x2F) ?? 0) + 1
        let name = path[start...]
        if name.isEmpty || name.elementsEqual([0x2E]) || name.elementsEqual([0x2E, 0x2E]) {
            return try realPath(path)
        }
        var parent = try realPath(Array(path[..<start]))
        if parent.last != 0x2F { parent.append(0x2F) }
        return parent + name
    }

    private static func realPath(_ path: [UInt8]) throws(CollectorError) -> [UInt8] {
        guard let resolved = CName(path).withPointer({ realpath($0, nil) }) else {
            throw CollectorError.system(errno, "cannot find the source", path)
        }
        defer { free(resolved) }
        return UnsafeRawBufferPointer(start: resolved, count: strlen(resolved)).map { $0 }
    }
}
