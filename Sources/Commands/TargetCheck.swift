import ArgumentParser
import Domain
import Glibc

extension Restore {
    /// A target that is a file, or lies below one, never becomes a directory: trying again is no use.
    func validate() throws {
        guard let to else { return }
        var info = stat()
        let isFile = stat(to, &info) == 0 ? info.st_mode & S_IFMT != S_IFDIR : errno == ENOTDIR
        guard isFile else { return }
        let language = common.language ?? Language.chosen(by: SystemText.environment)
        throw ValidationError(
            Text.targetNotDirectory(language, [Printable.text(to)]) + ". " + Text.targetNotDirectoryHint(language))
    }
}
