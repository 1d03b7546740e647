/// `ARCHIVE` or `ARCHIVE:/PATH` on the command line.
///
/// The path is absolute, so the first `:/` divides: neither an id, nor `latest:POLICY`, nor a date with a time of day
/// can contain it.
package struct ArchivePath: Equatable, Sendable {
    package var archive: String
    /// Absolute; nil when only an archive was named.
    package var path: String?

    /// Nil when no archive stands before the path.
    package init?(_ text: String) {
        let bytes = Array(text.utf8)
        let divider = bytes.indices.dropLast().first { bytes[$0] == 0x3A && bytes[$0 + 1] == 0x2F }
        if let divider {
            archive = String(decoding: bytes[..<divider], as: UTF8.self)
            path = String(decoding: bytes[(divider + 1)...], as: UTF8.self)
        } else {
            archive = text
            path = nil
        }
        if archive.isEmpty || archive.utf8.first == 0x2F { return nil }
    }
}
