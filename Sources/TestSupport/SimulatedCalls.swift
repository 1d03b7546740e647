package import Vault
import Glibc
import Synchronization

extension SimulatedDisk {
    package func open(_ name: String, in directory: Int32, flags: Int32, mode: UInt32) -> Int32 {
        state.withLock { state in
            guard let place = state.place(name, in: directory) else { return -ENOENT }
            guard let inode = state.lookUp(name, in: directory) else {
                guard flags & O_CREAT != 0 else { return -ENOENT }
                guard state.nodes[place.directory]?.isDirectory == true else { return -ENOTDIR }
                let made = state.make(place.name, in: place.directory, isDirectory: false)
                return state.open(made)
            }
            if flags & O_CREAT != 0, flags & O_EXCL != 0 { return -EEXIST }
            let isDirectory = state.nodes[inode]?.isDirectory == true
            if flags & O_DIRECTORY != 0, !isDirectory { return -ENOTDIR }
            return state.open(inode)
        }
    }

    package func close(_ descriptor: Int32) -> Int32 {
        state.withLock { $0.files.removeValue(forKey: descriptor) == nil ? -EBADF : 0 }
    }

    package func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) -> Int {
        state.withLock { state in
            guard let file = state.files[descriptor], let node = state.nodes[file.inode] else { return -Int(EBADF) }
            guard !node.isDirectory else { return -Int(EISDIR) }
            guard offset < UInt64(node.data.count) else { return 0 }
            let count = min(buffer.count, node.data.count - Int(offset))
            buffer.copyBytes(from: node.data[Int(offset)..<(Int(offset) + count)])
            return count
        }
    }

    package func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, at offset: UInt64) -> Int {
        state.withLock { state in
            guard let file = state.files[descriptor], let node = state.nodes[file.inode] else { return -Int(EBADF) }
            let isAligned = bytes.count.isMultiple(of: 4096) && offset.isMultiple(of: 4096)
            if file.isDirect, !isAligned { return -Int(EINVAL) }
            let growth = max(0, Int(offset) + bytes.count - node.data.count)
            guard growth <= traits.capacity - state.bytes else { return -Int(ENOSPC) }
            state.apply(.write(inode: file.inode, offset: Int(offset), bytes: Array(bytes)))
            return bytes.count
        }
    }

    package func syncFile(_ descriptor: Int32) -> Int32 { sync(descriptor, ignoring: traits.ignoresFileSyncs) }

    package func syncDirectory(_ descriptor: Int32) -> Int32 {
        sync(descriptor, ignoring: traits.ignoresDirectorySyncs)
    }

    private func sync(_ descriptor: Int32, ignoring: Bool) -> Int32 {
        state.withLock { state in
            guard let file = state.files[descriptor] else { return -EBADF }
            state.syncs += 1
            if traits.failingSyncs.contains(state.syncs) {
                state.apply(.failedSync(inode: file.inode))
                return -EIO
            }
            if !ignoring { state.apply(.sync(inode: file.inode)) }
            return 0
        }
    }

    package func truncate(_ descriptor: Int32, to length: UInt64) -> Int32 {
        state.withLock { state in
            guard let file = state.files[descriptor] else { return -EBADF }
            state.apply(.truncate(inode: file.inode, length: Int(length)))
            return 0
        }
    }

    package func reserve(_ descriptor: Int32, _ length: UInt64) -> Int32 {
        state.withLock { $0.files[descriptor] == nil ? -EBADF : 0 }
    }

    package func link(_ name: String, in directory: Int32, to newName: String, in newDirectory: Int32) -> Int32 {
        state.withLock { state in
            guard traits.hasLinks else { return -EPERM }
            guard let inode = state.lookUp(name, in: directory),
                let target = state.place(newName, in: newDirectory)
            else { return -ENOENT }
            guard state.lookUp(newName, in: newDirectory) == nil else { return -EEXIST }
            state.apply(.enter(directory: target.directory, name: target.name, inode: inode))
            return 0
        }
    }

    package func rename(
        _ name: String, in directory: Int32, to newName: String, in newDirectory: Int32, exclusive: Bool
    ) -> Int32 {
        state.withLock { state in
            if exclusive, !traits.hasExclusiveRename { return -EINVAL }
            guard let inode = state.lookUp(name, in: directory), let source = state.place(name, in: directory),
                let target = state.place(newName, in: newDirectory)
            else { return -ENOENT }
            let existing = state.lookUp(newName, in: newDirectory)
            if existing == inode { return exclusive ? -EEXIST : 0 }
            if exclusive, existing != nil { return -EEXIST }
            state.apply(.enter(directory: target.directory, name: target.name, inode: inode))
            state.apply(.remove(directory: source.directory, name: source.name))
            return 0
        }
    }

    package func unlink(_ name: String, in directory: Int32) -> Int32 {
        state.withLock { state in
            guard let inode = state.lookUp(name, in: directory), let place = state.place(name, in: directory)
            else { return -ENOENT }
            guard state.nodes[inode]?.isDirectory == false else { return -EISDIR }
            state.apply(.remove(directory: place.directory, name: place.name))
            return 0
        }
    }

    package func removeDirectory(_ name: String, in directory: Int32) -> Int32 {
        state.withLock { state in
            guard let inode = state.lookUp(name, in: directory), let place = state.place(name, in: directory)
            else { return -ENOENT }
            guard state.nodes[inode]?.isDirectory == true else { return -ENOTDIR }
            guard state.nodes[inode]?.entries.isEmpty == true else { return -ENOTEMPTY }
            state.apply(.remove(directory: place.directory, name: place.name))
            return 0
        }
    }

    package func makeDirectory(_ name: String, in directory: Int32, mode: UInt32) -> Int32 {
        state.withLock { state in
            guard let place = state.place(name, in: directory) else { return -ENOENT }
            guard state.lookUp(name, in: directory) == nil else { return -EEXIST }
            _ = state.make(place.name, in: place.directory, isDirectory: true)
            return 0
        }
    }

    package func status(of descriptor: Int32, into status: inout FileStatus) -> Int32 {
        let found = state.withLock { state in state.files[descriptor].flatMap { state.describe($0.inode) } }
        guard let found else { return -EBADF }
        status = found
        return 0
    }

    package func status(of name: String, in directory: Int32, into status: inout FileStatus) -> Int32 {
        let found = state.withLock { state in state.lookUp(name, in: directory).flatMap { state.describe($0) } }
        guard let found else { return -ENOENT }
        status = found
        return 0
    }

    package func readDirectory(_ descriptor: Int32, into names: inout [[UInt8]]) -> Int {
        let page: [[UInt8]]? = state.withLock { state in
            guard let file = state.files[descriptor], let node = state.nodes[file.inode], node.isDirectory
            else { return nil }
            var rest = file.listing ?? [".", ".."] + node.entries.keys.sorted().reversed()
            // Short pages, so that callers must ask again.
            let page = rest.prefix(3).map { Array($0.utf8) }
            rest.removeFirst(page.count)
            state.files[descriptor]?.listing = rest
            return page
        }
        guard let page else { return -Int(ENOTDIR) }
        names += page
        return page.count
    }

    package func tryLock(_ descriptor: Int32) -> Int32 {
        state.withLock { state in
            guard let file = state.files[descriptor] else { return -EBADF }
            let isHeld = state.files.contains {
                $0.key != descriptor && $0.value.inode == file.inode && $0.value.holdsLock
            }
            if isHeld { return -EWOULDBLOCK }
            state.files[descriptor]?.holdsLock = true
            return 0
        }
    }

    package func setDirect(_ descriptor: Int32, _ on: Bool) -> Int32 {
        state.withLock { state in
            guard traits.hasDirectWrites || !on else { return -EINVAL }
            state.files[descriptor]?.isDirect = on
            return state.files[descriptor] == nil ? -EBADF : 0
        }
    }

    package func startWriteback(_ descriptor: Int32, at offset: UInt64, length: UInt64) -> Int32 { 0 }
    package func willNeed(_ descriptor: Int32, at offset: UInt64, length: UInt64) -> Int32 { 0 }

    package func random() -> UInt64 { state.withLock { SplitMix.next(&$0.seed) } }
}

extension SimulatedDisk.State {
    func describe(_ inode: Int) -> FileStatus? {
        guard let node = nodes[inode] else { return nil }
        var status = FileStatus()
        status.size = UInt64(node.data.count)
        status.allocated = status.size
        status.device = 1
        status.inode = UInt64(inode)
        status.mode = node.isDirectory ? S_IFDIR | 0o700 : S_IFREG | 0o600
        status.links = UInt32(max(0, node.links))
        return status
    }
}

/// A small generator whose whole state is its seed, so that a seed reproduces a run.
package struct SplitMix: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 { Self.next(&state) }

    static func next(_ state: inout UInt64) -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
