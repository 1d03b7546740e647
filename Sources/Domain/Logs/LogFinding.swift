/// Something about a log that is not as it should be: recorded in the segment and the ledger, and told by the run.
package struct LogFinding: Sendable, Equatable, Codable {
    package enum Kind: String, Sendable, CaseIterable, Codable {
        /// Something was written, or may have been, that nobody could read.
        case gap
        /// What was sealed before reads differently now.
        case altered
        /// A rotated file ends in the middle of a line.
        case truncatedLine = "truncated-line"
        /// Time went back, or on by more than it can have.
        case clockJump = "clock-jump"
        /// What was sealed before came again.
        case repeated
        /// A journal export that is none from some byte on.
        case malformed
        /// How far the source was read had been lost, so it was read again from its beginning.
        case cursorLost = "cursor-lost"

        package func name(in language: Language) -> String {
            switch (self, language) {
            case (.gap, .english): "gap"
            case (.gap, .azerbaijani): "boşluq"
            case (.altered, .english): "altered"
            case (.altered, .azerbaijani): "dəyişdirilib"
            case (.truncatedLine, .english): "truncated line"
            case (.truncatedLine, .azerbaijani): "yarımçıq sətir"
            case (.clockJump, .english): "clock jump"
            case (.clockJump, .azerbaijani): "saat sıçrayışı"
            case (.repeated, .english): "repeated"
            case (.repeated, .azerbaijani): "təkrar"
            case (.malformed, .english): "malformed"
            case (.malformed, .azerbaijani): "format pozulub"
            case (.cursorLost, .english): "position lost"
            case (.cursorLost, .azerbaijani): "oxunma yeri itib"
            }
        }
    }

    package var kind: Kind
    /// Of the file, as text; nil where it concerns the source as a whole.
    package var path: String?
    /// In English, lower case, without a full stop.
    package var detail: String

    package init(_ kind: Kind, path: String? = nil, _ detail: String) {
        self.kind = kind
        self.path = path
        self.detail = detail
    }

    package var message: String { "\(kind.name(in: .english)): \(path.map { "\($0) " } ?? "")\(detail)" }
}
