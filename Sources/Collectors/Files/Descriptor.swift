import CLinux
import Glibc

/// An open file of the system, closed when its one owner goes.
struct Descriptor: ~Copyable, Sendable {
    let number: Int32

    init(_ number: Int32) { self.number = number }

    /// Opens `name` in `directory`; never follows a link at the end.
    static func open(
        _ name: UnsafePointer<CChar>, in directory: Int32, _ flags: Int32, mode: UInt32 = 0
    ) -> Result<Descriptor, SystemError> {
        let number = tree_open(directory, name, flags | O_NOFOLLOW, mode)
        return number < 0 ? .failure(SystemError(number: -number)) : .success(Descriptor(number))
    }

    /// Opens to read without leaving a trace in the time of access, where the system allows that.
    static func openUntraced(
        _ name: UnsafePointer<CChar>, in directory: Int32, _ flags: Int32
    ) -> Result<Descriptor, SystemError> {
        var number = tree_open(directory, name, flags | O_RDONLY | O_NOFOLLOW | tree_untraced, 0)
        if number == -EPERM { number = tree_open(directory, name, flags | O_RDONLY | O_NOFOLLOW, 0) }
        return number < 0 ? .failure(SystemError(number: -number)) : .success(Descriptor(number))
    }

    deinit { _ = close(number) }
}

/// A directory held open by everything that still works in it.
package final class DirectoryHandle: Sendable {
    let descriptor: Descriptor
    package var number: Int32 { descriptor.number }

    init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }

    /// Opens what has the path `path` below this directory, however long that is, and never through a link.
    func reach(_ path: [UInt8], _ flags: Int32) -> Result<Descriptor, SystemError> {
        var number: Int32 = CName(path).withPointer { tree_open_beneath(self.number, $0, flags | O_NOFOLLOW) }
        if number == -ENAMETOOLONG || number == -ENOSYS {
            var parent = self
            let names = path.split(separator: 0x2F)
            for name in names.dropLast() {
                let next = CName(name).withPointer {
                    tree_open(parent.number, $0, tree_path_only | O_DIRECTORY | O_NOFOLLOW, 0)
                }
                guard next >= 0 else { return .failure(SystemError(number: -next)) }
                parent = DirectoryHandle(Descriptor(next))
            }
            number = CName(names.last ?? []).withPointer { tree_open(parent.number, $0, flags | O_NOFOLLOW, 0) }
        }
        return number >= 0 ? .success(Descriptor(number)) : .failure(SystemError(number: -number))
    }
}

/// The chain of directories from a root down to the current one.
///
/// Invariants:
/// - the root stays open; of the others at most ``openLimit`` of the deepest are, so depth costs no descriptors;
/// - a directory is reopened name by name from the root, never through a link, and only counts when it still is the
///   same file on the same device.
struct DirectoryStack {
    static let openLimit = 64

    private struct Level {
        var name: CName
        var identity: FileIdentity
        var handle: DirectoryHandle?
    }

    private let root: DirectoryHandle
    private var levels: [Level] = []

    init(root: DirectoryHandle) { self.root = root }

    /// Directories below the root.
    var depth: Int { levels.count }

    /// Descriptors in use, that of the root among them.
    var openCount: Int { levels.reduce(1) { $0 + ($1.handle == nil ? 0 : 1) } }

    mutating func push(_ handle: DirectoryHandle, name: CName, identity: FileIdentity) {
        levels.append(Level(name: name, identity: identity, handle: handle))
        let tooFar = levels.count - 1 - Self.openLimit
        if tooFar >= 0 { levels[tooFar].handle = nil }
    }

    mutating func pop() { levels.removeLast() }

    mutating func pop(to depth: Int) { levels.removeLast(levels.count - depth) }

    /// The deepest directory, reopened when its descriptor had been given up. ESTALE when something else now has its
    /// place.
    mutating func top() -> Result<DirectoryHandle, SystemError> {
        guard let last = levels.last else { return .success(root) }
        if let handle = last.handle { return .success(handle) }
        let firstKept = levels.count - Self.openLimit / 2
        var handle = root
        for index in levels.indices {
            if let open = levels[index].handle {
                handle = open
                continue
            }
            let opened = levels[index].name.withPointer {
                Descriptor.open($0, in: handle.number, tree_path_only | O_DIRECTORY)
            }
            switch consume opened {
            case .failure(let error): return .failure(error)
            case .success(let descriptor): handle = DirectoryHandle(descriptor)
            }
            switch FileStatus.of(handle.number) {
            case .failure(let error): return .failure(error)
            case .success(let status):
                guard status.identity == levels[index].identity else {
                    return .failure(SystemError(number: ESTALE))
                }
            }
            if index >= firstKept { levels[index].handle = handle }
        }
        return .success(handle)
    }
}
