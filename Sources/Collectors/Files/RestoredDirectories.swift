import CLinux
import Domain
import Glibc

/// The directories that a restore has written in, and the metadata they get when everything is in them.
///
/// A restored directory belongs to the restoring account alone (0700) until ``finish``: only then it gets its owner and
/// permissions, deepest first, when no file below it is still to be created or renamed. About 120 bytes for each.
struct RestoredDirectories {
    struct Directory {
        /// Index of the directory that it is in; the target itself is 0 and its own parent.
        var parent: Int
        var level: Int
        var name: CName
        /// Nil for the target.
        var identity: FileIdentity?
        /// Nil when the directory keeps its metadata.
        var wanted: MetadataWriter.Wanted?
        var isNew: Bool
        var mayHaveInheritedACL: Bool
    }

    private(set) var all: [Directory] = [
        Directory(
            parent: 0, level: 0, name: CName([]), identity: nil, wanted: nil, isNew: false, mayHaveInheritedACL: false)
    ]

    mutating func add(
        in parent: Int, name: CName, identity: FileIdentity, wanted: MetadataWriter.Wanted?, isNew: Bool,
        mayHaveInheritedACL: Bool
    ) -> Int {
        all.append(
            Directory(
                parent: parent, level: all[parent].level + 1, name: name, identity: identity, wanted: wanted,
                isNew: isNew, mayHaveInheritedACL: mayHaveInheritedACL))
        return all.count - 1
    }

    /// The path of a directory relative to the target, as it was written.
    func path(of index: Int) -> [UInt8] {
        var names: [CName] = []
        var at = index
        while at != 0 {
            names.append(all[at].name)
            at = all[at].parent
        }
        return Array(names.reversed().map(\.bytes).joined(separator: [0x2F]))
    }

    /// Applies all metadata, from the last directory to the first, and forgets it.
    mutating func finish(target: DirectoryHandle, _ metadata: MetadataWriter) {
        var stack = DirectoryStack(root: target)
        var open: [Int] = [0]
        for index in all.indices.dropFirst().reversed() {
            guard let wanted = all[index].wanted, let identity = all[index].identity else { continue }
            let opened = reach(all[index].parent, &stack, &open).flatMap { parent in
                all[index].name.withPointer { name in Self.openToChange(name, in: parent.number, identity) }
            }
            switch opened {
            case .failure(let error):
                metadata.problems.add(
                    FileProblem(path: path(of: index), what: .permissionsNotSet, systemError: error.number))
            case .success(let (handle, status)):
                let object = MetadataWriter.Object(
                    descriptor: handle.number, isPath: false, status: status, isNew: all[index].isNew,
                    mayHaveInheritedACL: all[index].mayHaveInheritedACL)
                metadata.apply(wanted, to: object, path: path(of: index))
            }
            all[index].wanted = nil
        }
    }

    /// ESTALE when the name no longer stands for the directory that the restore wrote in.
    private static func openToChange(
        _ name: UnsafePointer<CChar>, in parent: Int32, _ identity: FileIdentity
    ) -> Result<(DirectoryHandle, FileStatus), SystemError> {
        let handle: DirectoryHandle
        switch Descriptor.open(name, in: parent, O_RDONLY | O_DIRECTORY) {
        case .failure(let error): return .failure(error)
        case .success(let descriptor): handle = DirectoryHandle(descriptor)
        }
        return FileStatus.of(handle.number).flatMap { status in
            status.identity == identity ? .success((handle, status)) : .failure(SystemError(number: ESTALE))
        }
    }

    /// Opens the directory with this index through those above it, of which `open` lists the ones on the stack.
    private func reach(
        _ index: Int, _ stack: inout DirectoryStack, _ open: inout [Int]
    ) -> Result<DirectoryHandle, SystemError> {
        var missing: [Int] = []
        var at = index
        while !(all[at].level < open.count && open[all[at].level] == at) {
            missing.append(at)
            at = all[at].parent
        }
        open.removeLast(open.count - all[at].level - 1)
        stack.pop(to: all[at].level)
        for next in missing.reversed() {
            guard let identity = all[next].identity else { return .failure(SystemError(number: ESTALE)) }
            let handle: DirectoryHandle
            switch stack.top() {
            case .failure(let error): return .failure(error)
            case .success(let parent):
                let child = all[next].name.withPointer {
                    Descriptor.open($0, in: parent.number, tree_path_only | O_DIRECTORY)
                }
                switch consume child {
                case .failure(let error): return .failure(error)
                case .success(let descriptor): handle = DirectoryHandle(descriptor)
                }
            }
            stack.push(handle, name: all[next].name, identity: identity)
            open.append(next)
            guard case .success(let status) = FileStatus.of(handle.number), status.identity == identity else {
                stack.pop()
                open.removeLast()
                return .failure(SystemError(number: ESTALE))
            }
        }
        return stack.top()
    }
}
