import Collectors
import Domain

/// What an earlier pass left when it was killed.
enum MoveSettling {
    static func run(_ register: MovedRegister, at workplace: Workplace, _ report: inout MoveReport) throws {
        let book = try MovedBook(state: workplace.statePath, vault: "")
        for file in book.unsettled.values.sorted(by: { $0.id < $1.id }) {
            let aside = String(decoding: file.aside, as: UTF8.self)
            do {
                let (kind, reason) = try settle(file)
                var fields = ["settled": "yes"]
                fields["reason"] = reason
                try register.write(kind, [file.id], fields)
                report.settled += 1
                guard let reason else { continue }
                // Told once: whoever renamed the folder may have the file under that name.
                report.add(PathProblem(stored: file.path, reason: "\(reason); it would be named \(aside)"))
            } catch let error as CollectorError {
                report.add(
                    PathProblem(stored: file.path, reason: "it may stand aside as \(aside): \(error.message)"))
            }
        }
    }

    /// What became of a file, and a reason where that is not known for certain.
    private static func settle(_ file: MovedFile) throws(CollectorError) -> (MovedLine, reason: String?) {
        let slash = file.path.lastIndex(of: 0x2F)
        let name = Array(file.path[(slash.map { $0 + 1 } ?? 0)...])
        let parent = slash.map { Array(file.path[..<$0]) } ?? []
        let folder: OriginalFolder
        do { folder = try OriginalFolder(parent) } catch {
            guard error.isAbsence, try isGone(parent, of: file) else { throw error }
            // As if it had been removed: its archive is kept.
            return (.moved, "its folder is gone, and whether it was removed before is not known")
        }
        if try folder.status(file.aside) != nil {
            // Never over what has the name now.
            try folder.rename(file.aside, to: name)
            try folder.sync()
            return (.stayed, nil)
        }
        // A file that came later has its name perhaps: only the very one is known to have stayed. Else its archive is kept.
        guard let status = try folder.status(name) else { return (.moved, nil) }
        return (MovedFile.stamp(OriginalStamp(status)) == file.stamp ? .stayed : .moved, nil)
    }

    /// Whether what is nearest above the folder is on the file system that the file was on. Else that is perhaps not mounted,
    /// and the folder comes back with it.
    private static func isGone(_ folder: [UInt8], of file: MovedFile) throws(CollectorError) -> Bool {
        var above = folder
        while !above.isEmpty {
            above = above.lastIndex(of: 0x2F).map { Array(above[..<$0]) } ?? []
            let open: OriginalFolder
            do { open = try OriginalFolder(above) } catch {
                guard error.isAbsence else { throw error }
                continue
            }
            guard let status = try open.status([0x2E]) else { return false }
            return file.stamp.hasPrefix("\(status.identity.device) ")
        }
        return false
    }
}

extension CollectorError {
    /// Nothing is there, or something else than a directory.
    fileprivate var isAbsence: Bool { code == .notFound || code == .changed }
}
