import Collectors
import Domain

/// What an earlier pass left when it was killed.
enum MoveSettling {
    static func run(_ register: MovedRegister, at workplace: Workplace, _ report: inout MoveReport) throws {
        let book = try MovedBook(state: workplace.statePath, vault: "")
        for file in book.unsettled.values.sorted(by: { $0.id < $1.id }) {
            do {
                guard let kind = try settle(file) else { continue }
                try register.write(kind, [file.id], ["settled": "yes"])
                report.settled += 1
            } catch let error as CollectorError {
                let aside = String(decoding: file.aside, as: UTF8.self)
                report.add(
                    PathProblem(stored: file.path, reason: "it may stand aside as \(aside): \(error.message)"))
            }
        }
    }

    /// Nil while it cannot be told.
    private static func settle(_ file: MovedFile) throws(CollectorError) -> MovedLine? {
        let slash = file.path.lastIndex(of: 0x2F)
        let name = Array(file.path[(slash.map { $0 + 1 } ?? 0)...])
        let folder = try OriginalFolder(slash.map { Array(file.path[..<$0]) } ?? [])
        if try folder.status(file.aside) != nil {
            // Never over what has the name now.
            try folder.rename(file.aside, to: name)
            try folder.sync()
            return .stayed
        }
        // A file that came later has its name perhaps: only the very one is known to have stayed. Else its archive is kept.
        guard let status = try folder.status(name) else { return .moved }
        return MovedFile.stamp(OriginalStamp(status)) == file.stamp ? .stayed : .moved
    }
}
