import Glibc

extension LocalStore {
    /// Whether the directory that was opened is the one at `path` now.
    package func isAt(_ path: String) -> Bool {
        let number = Self.retrying { calls.open(path, in: AT_FDCWD, flags: O_RDONLY | O_DIRECTORY, mode: 0) }
        guard number >= 0 else { return false }
        let there = Descriptor(number, calls)
        var (found, own) = (FileStatus(), FileStatus())
        return calls.status(of: there.number, into: &found) == 0 && calls.status(of: root.number, into: &own) == 0
            && found.isSameFile(as: own)
    }

    package func list(_ directory: String) throws(VaultError) -> [ObjectInfo] {
        let components = try ObjectName.directory(directory)
        var found: [ObjectInfo] = []
        guard try collect(components, descend: !components.isEmpty, into: &found) else {
            try confirmRootExists()
            return []
        }
        found.sort { $0.name < $1.name }
        return found
    }

    /// Adds the objects of one directory; false when it does not exist.
    ///
    /// Names that no object can have are somebody else's files (`lost+found`, `.nfs…`) and are passed over; a thing
    /// that has an object's name and is no file is an error, because an object may have stood there.
    private func collect(
        _ components: [String], descend: Bool, into found: inout [ObjectInfo]
    ) throws(VaultError) -> Bool {
        guard let directory = try self.directory(components) else { return false }
        for raw in try names(in: directory, components) where ObjectName.isComponent(raw) {
            let name = String(decoding: raw, as: UTF8.self)
            let path = (components + [name]).joined(separator: "/")
            var status = FileStatus()
            let number = directory.number
            let result = Self.retrying { calls.status(of: name, in: number, into: &status) }
            if result == -ENOENT { continue }
            guard result == 0 else { throw .system(-result, "inspect \(path)", in: describe) }
            if status.isRegularFile {
                guard found.count < Self.maximumListing else { throw tooMany(components) }
                found.append(ObjectInfo(name: path, length: status.size))
            } else if status.isDirectory {
                if descend { _ = try collect(components + [name], descend: false, into: &found) }
            } else {
                throw notAFile(path)
            }
        }
        return true
    }

    func names(in directory: borrowing Descriptor, _ components: [String]) throws(VaultError) -> [[UInt8]] {
        var names: [[UInt8]] = []
        while true {
            let number = directory.number
            let result = Self.retrying { calls.readDirectory(number, into: &names) }
            if result == 0 { return names }
            guard result > 0 else {
                throw .system(
                    Int32(-result), "list the directory \"\(components.joined(separator: "/"))\"", in: describe)
            }
            guard names.count <= Self.maximumListing else { throw tooMany(components) }
        }
    }

    private func tooMany(_ components: [String]) -> VaultError {
        VaultError(
            .limit,
            "\"\(components.joined(separator: "/"))\" in \(describe) has more than \(Self.maximumListing) entries",
            hint: "No vault has so many objects in one directory; look at what filled it.")
    }
}
