import Vault
import Glibc
import Synchronization

// Invariants of the simulated disk:
//
// 1. What the running system sees is the sum of all changes in the order of the calls.
// 2. What a power cut leaves is decided per change: a write survives for certain when its file was synced after it, a
//    directory entry when its directory was synced after it. Everything else may survive, vanish or be torn, each
//    change independently of every other one; this is harsher than any journalling file system.
// 3. A sync that failed loses its pending changes for good while the running system still sees them, and the next sync
//    succeeds: what Linux does with dirty pages after a write error.

/// A file system in memory that records every change and can be cut off the power after any of them.
package final class SimulatedDisk: FileSystemCalls {
    /// What the file system underneath cannot do, and what fails.
    package struct Traits: Sendable {
        package var hasLinks = true
        package var hasExclusiveRename = true
        package var hasDirectWrites = true
        /// Bytes of all files together; a write beyond fails with ENOSPC.
        package var capacity = Int.max
        /// Ordinals, from 1, of the syncs that fail with EIO and lose what they should have kept.
        package var failingSyncs: Set<Int> = []
        /// For proving that a test notices: syncs of directories report success and do nothing.
        package var ignoresDirectorySyncs = false
        /// For proving that a test notices: syncs of files report success and do nothing.
        package var ignoresFileSyncs = false
        package init() {}
    }

    /// One recorded change.
    enum Change: Sendable {
        case made(inode: Int, isDirectory: Bool)
        case write(inode: Int, offset: Int, bytes: [UInt8])
        case truncate(inode: Int, length: Int)
        case enter(directory: Int, name: String, inode: Int)
        case remove(directory: Int, name: String)
        case sync(inode: Int)
        case failedSync(inode: Int)
    }

    struct Node: Sendable {
        var isDirectory: Bool
        var data: [UInt8] = []
        var entries: [String: Int] = [:]
        var links = 0
    }

    struct OpenFile: Sendable {
        var inode: Int
        var holdsLock = false
        /// Names still to be read by `readDirectory`.
        var listing: [String]?
        var isDirect = false
    }

    struct State: Sendable {
        /// What the power-on state was; crash states start from it.
        var base: [Int: Node]
        var nodes: [Int: Node]
        var changes: [Change] = []
        var files: [Int32: OpenFile] = [:]
        var nextDescriptor: Int32 = 1000
        var nextInode: Int
        var syncs = 0
        var bytes = 0
        var seed: UInt64
    }

    static let rootInode = 1
    package let traits: Traits
    let state: Mutex<State>

    /// An empty disk with the durable root `/`.
    package convenience init(traits: Traits = Traits(), seed: UInt64 = 1) {
        self.init([Self.rootInode: Node(isDirectory: true, links: 1)], traits: traits, seed: seed)
    }

    init(_ nodes: [Int: Node], traits: Traits, seed: UInt64) {
        self.traits = traits
        let bytes = nodes.values.reduce(0) { $0 + $1.data.count }
        let next = (nodes.keys.max() ?? Self.rootInode) + 1
        state = Mutex(State(base: nodes, nodes: nodes, nextInode: next, bytes: bytes, seed: seed))
    }

    /// How many changes were recorded since power-on.
    package var operationCount: Int { state.withLock { $0.changes.count } }

    /// How many descriptors are open: for finding leaks.
    package var openDescriptors: Int { state.withLock { $0.files.count } }

    /// The running system's view of a file, nil when there is none: for tests that plant damage or look inside.
    package func contents(of path: String) -> [UInt8]? {
        state.withLock { state in
            state.resolve(path).flatMap { state.nodes[$0] }.flatMap { $0.isDirectory ? nil : $0.data }
        }
    }
}

extension SimulatedDisk.State {
    /// Walks an absolute path.
    func resolve(_ path: String) -> Int? {
        var current = SimulatedDisk.rootInode
        for component in path.split(separator: "/") where component != "." {
            guard let next = nodes[current]?.entries[String(component)] else { return nil }
            current = next
        }
        return current
    }

    /// Where a name of an `…at` call is looked up: its directory and its last component.
    func place(_ name: String, in directory: Int32) -> (directory: Int, name: String)? {
        if directory != AT_FDCWD {
            guard let inode = files[directory]?.inode, nodes[inode]?.isDirectory == true else { return nil }
            return (inode, name)
        }
        let components = name.split(separator: "/")
        guard let last = components.last else { return (SimulatedDisk.rootInode, ".") }
        guard let inode = resolve(components.dropLast().joined(separator: "/")) else { return nil }
        return (inode, String(last))
    }

    func lookUp(_ name: String, in directory: Int32) -> Int? {
        guard let place = place(name, in: directory) else { return nil }
        return place.name == "." ? place.directory : nodes[place.directory]?.entries[place.name]
    }

    /// Does the change to the running system and records it.
    mutating func apply(_ change: SimulatedDisk.Change) {
        changes.append(change)
        switch change {
        case .made(let inode, let isDirectory):
            nodes[inode] = SimulatedDisk.Node(isDirectory: isDirectory)
        case .write(let inode, let offset, let written):
            let before = nodes[inode]?.data.count ?? 0
            nodes[inode]?.data.place(written, at: offset)
            bytes += (nodes[inode]?.data.count ?? 0) - before
        case .truncate(let inode, let length):
            bytes += length - (nodes[inode]?.data.count ?? 0)
            nodes[inode]?.data.cut(to: length)
        case .enter(let directory, let name, let inode):
            if let old = nodes[directory]?.entries[name] { nodes[old]?.links -= 1 }
            nodes[directory]?.entries[name] = inode
            nodes[inode]?.links += 1
        case .remove(let directory, let name):
            if let old = nodes[directory]?.entries.removeValue(forKey: name) { nodes[old]?.links -= 1 }
        case .sync, .failedSync: break
        }
    }

    mutating func open(_ inode: Int) -> Int32 {
        nextDescriptor += 1
        files[nextDescriptor] = SimulatedDisk.OpenFile(inode: inode)
        return nextDescriptor
    }

    mutating func make(_ name: String, in directory: Int, isDirectory: Bool) -> Int {
        let inode = nextInode
        nextInode += 1
        apply(.made(inode: inode, isDirectory: isDirectory))
        apply(.enter(directory: directory, name: name, inode: inode))
        return inode
    }
}

extension [UInt8] {
    mutating func place(_ bytes: [UInt8], at offset: Int) { place(bytes[...], at: offset) }

    mutating func place(_ bytes: ArraySlice<UInt8>, at offset: Int) {
        extend(to: offset + bytes.count)
        if bytes.isEmpty { return }
        withUnsafeMutableBytes { target in
            bytes.withUnsafeBytes { source in
                UnsafeMutableRawBufferPointer(rebasing: target[offset...]).copyMemory(from: source)
            }
        }
    }

    mutating func extend(to length: Int) {
        if count < length { append(contentsOf: [UInt8](repeating: 0, count: length - count)) }
    }

    mutating func cut(to length: Int) {
        if length < count { removeLast(count - length) } else { extend(to: length) }
    }
}
