import Domain

/// The outline as plain text.
struct PolicySheet {
    static let width = 96
    private static let labelWidth = 30

    private let outline: PolicyOutline
    private var out: [String] = []

    init(_ outline: PolicyOutline) { self.outline = outline }

    var text: String {
        var sheet = self
        sheet.write()
        return sheet.out.joined(separator: "\n") + "\n"
    }

    private mutating func write() {
        if let institution = outline.edition.institution { paragraph(institution) }
        heading(outline.title, "=")
        paragraph(outline.basis(clauses: outline.word("brackets", "Mötərizədəki rəqəmlər")))
        if !outline.editionRows.isEmpty { out.append("") }
        for (label, value) in outline.editionRows { row(label, [value]) }
        heading(outline.word("Overview", "İcmal"), "=")
        for (at, row) in outline.overview.enumerated() {
            paragraph("\(at + 1). \(row[0]) (\(row[1])): \(row.dropFirst(2).joined(separator: "; "))")
        }
        if !outline.gaps.isEmpty {
            let names = outline.gaps.map { "\($0.name) [\($0.clause.number)]" }.joined(separator: ", ")
            paragraph("\(outline.word("No policy covers:", "Bu komponentlər üzrə siyasət yoxdur:")) \(names)")
        }
        for (at, section) in outline.sections.enumerated() { write(section, number: at + 1) }
        writeEnd()
    }

    private mutating func write(_ section: PolicyOutline.Section, number: Int) {
        heading("\(number). \(section.title) [\(section.clause.number)] \(section.name)", "=")
        for group in section.groups {
            heading(group.title, "-")
            for entry in group.rows {
                let label = entry.clause.map { "\(entry.label) [\($0.number)]" } ?? entry.label
                row(label, entry.lines.isEmpty ? [outline.notLaidDown] : entry.lines)
            }
        }
        let title = outline.word("Storage format and periods", "Saxlanılma formatı və dövrləri")
        heading("\(title) [\(Clause.formatsAndPeriods.number)]", "-")
        for tier in section.tiers {
            switch tier.cells.count {
            case 0: row(tier.name, [outline.notLaidDown])
            case 1: row(tier.name, tier.cells)
            default:
                let heads = outline.tierHeads.dropFirst()
                row(tier.name, zip(heads, tier.cells).filter { $1 != "—" }.map { "\($0): \($1)" })
            }
        }
    }

    private mutating func writeEnd() {
        if !outline.persons.isEmpty {
            heading("\(outline.word("Persons", "Şəxslər")) [3.21]", "=")
            for person in outline.persons {
                row(
                    person[0],
                    zip(outline.personHeads, person).dropFirst().filter { $1 != "—" && $1 != "" }.map {
                        "\($0): \($1)"
                    })
            }
        }
        heading(outline.word("Signatures", "İmzalar"), "=")
        let signature = outline.signatureHeads[2]
        let date = outline.signatureHeads[3]
        for (duty, name) in outline.signatures {
            row(duty, ["\(name.isEmpty ? "____________________" : name)"])
            row("", ["\(signature): ____________________   \(date): ____________", ""])
        }
        while out.last?.isEmpty ?? false { out.removeLast() }
    }

    private mutating func heading(_ text: String, _ mark: String) {
        if !out.isEmpty { out.append("") }
        let lines = Self.wrapped(PolicyOutline.visible(text), to: Self.width)
        out += lines
        out.append(String(repeating: mark, count: min(Self.width, lines.map(\.count).max() ?? 0)))
    }

    private mutating func paragraph(_ text: String) {
        out += Self.wrapped(PolicyOutline.visible(text), to: Self.width)
    }

    /// A label beside lines; a long label stands above them.
    private mutating func row(_ label: String, _ lines: [String]) {
        let indent = String(repeating: " ", count: Self.labelWidth)
        var wrapped = lines.flatMap { Self.wrapped(PolicyOutline.visible($0), to: Self.width - Self.labelWidth) }
        let shown = PolicyOutline.visible(label)
        if shown.count < Self.labelWidth - 1 {
            let first = wrapped.isEmpty ? "" : wrapped.removeFirst()
            out.append(Self.trimmed(shown + indent.dropFirst(shown.count) + first))
        } else {
            out += Self.wrapped(shown, to: Self.width)
        }
        out += wrapped.map { Self.trimmed(indent + $0) }
    }

    private static func trimmed(_ line: String) -> String {
        var line = line
        while line.last == " " { line.removeLast() }
        return line
    }

    /// Lines of at most `width` characters, broken at spaces; a longer word keeps its line.
    private static func wrapped(_ text: String, to width: Int) -> [String] {
        text.split(separator: "\n", omittingEmptySubsequences: false).flatMap { paragraph -> [String] in
            var lines: [String] = []
            var line = ""
            for word in paragraph.split(separator: " ") {
                if !line.isEmpty, line.count + 1 + word.count > width {
                    lines.append(line)
                    line = ""
                }
                line += line.isEmpty ? String(word) : " \(word)"
            }
            return lines + [line]
        }
    }
}
