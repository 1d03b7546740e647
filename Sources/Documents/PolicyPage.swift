import Domain

/// The outline as HTML.
struct PolicyPage {
    private let outline: PolicyOutline
    private var out = ""

    init(_ outline: PolicyOutline) { self.outline = outline }

    var html: String {
        var page = self
        page.write()
        return page.out
    }

    private mutating func line(_ text: String) { out += text + "\n" }

    private mutating func write() {
        line("<!DOCTYPE html>")
        line("<html lang=\"\(outline.language.rawValue)\">")
        line("<head>")
        line("<meta charset=\"utf-8\">")
        line("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")
        line("<title>\(escaped(outline.title))</title>")
        line("<style>\(PolicyStyle.sheet)</style>")
        line("</head>")
        line("<body>")
        writeHead()
        writeOverview()
        for (at, section) in outline.sections.enumerated() { write(section, number: at + 1) }
        writePersons()
        writeSignatures()
        line("</body>")
        line("</html>")
    }

    private mutating func writeHead() {
        line("<header class=\"cover\">")
        if let institution = outline.edition.institution {
            line("<p class=\"institution\">\(escaped(institution))</p>")
        }
        line("<h1>\(escaped(outline.title))</h1>")
        line("<p class=\"basis\">\(escaped(outline.basis(clauses: outline.word("grey", "Boz rəqəmlər"))))</p>")
        if !outline.editionRows.isEmpty {
            line("<dl class=\"edition\">")
            for (label, value) in outline.editionRows {
                line("<div><dt>\(escaped(label))</dt><dd>\(escaped(value))</dd></div>")
            }
            line("</dl>")
        }
        line("</header>")
    }

    private mutating func writeOverview() {
        line("<section>")
        line("<h2>\(escaped(outline.word("Overview", "İcmal")))</h2>")
        if !outline.overview.isEmpty { writeTable(outline.overviewHeads, outline.overview, "grid") }
        if !outline.gaps.isEmpty {
            let text = outline.word("No policy covers:", "Bu komponentlər üzrə siyasət yoxdur:")
            let names = outline.gaps.map { "\(escaped($0.name)) <span class=\"clause\">\($0.clause.number)</span>" }
            line("<p class=\"gap\">\(escaped(text)) \(names.joined(separator: ", "))</p>")
        }
        line("</section>")
    }

    private mutating func writeTable(_ heads: [String], _ rows: [[String]], _ style: String) {
        line("<table class=\"\(style)\">")
        line("<thead><tr>\(heads.map { "<th scope=\"col\">\(escaped($0))</th>" }.joined())</tr></thead>")
        line("<tbody>")
        for row in rows { line("<tr>\(row.map { "<td>\(escaped($0))</td>" }.joined())</tr>") }
        line("</tbody>")
        line("</table>")
    }

    private mutating func write(_ section: PolicyOutline.Section, number: Int) {
        line("<section class=\"policy\">")
        line(
            "<h2><span class=\"number\">\(number)</span> \(escaped(section.title))"
                + " <span class=\"clause\">\(escaped(section.clause.number))</span>"
                + " <code>\(escaped(section.name))</code></h2>")
        line("<table class=\"facts\">")
        for group in section.groups {
            line("<tbody>")
            line("<tr class=\"group\"><th colspan=\"2\" scope=\"rowgroup\">\(escaped(group.title))</th></tr>")
            for row in group.rows {
                let clause = row.clause.map { " <span class=\"clause\">\(escaped($0.number))</span>" } ?? ""
                line("<tr><th scope=\"row\">\(escaped(row.label))\(clause)</th><td>\(lines(row.lines))</td></tr>")
            }
            line("</tbody>")
        }
        line("</table>")
        writeTiers(section.tiers)
        line("</section>")
    }

    private func lines(_ lines: [String]) -> String {
        if lines.isEmpty { return "<span class=\"gap\">\(escaped(outline.notLaidDown))</span>" }
        return lines.map { "<p>\(escaped($0))</p>" }.joined()
    }

    private mutating func writeTiers(_ tiers: [PolicyOutline.TierRow]) {
        let title = outline.word("Storage format and periods", "Saxlanılma formatı və dövrləri")
        line("<table class=\"tiers\">")
        line("<caption>\(escaped(title)) <span class=\"clause\">\(Clause.formatsAndPeriods.number)</span></caption>")
        line("<thead><tr>\(outline.tierHeads.map { "<th scope=\"col\">\(escaped($0))</th>" }.joined())</tr></thead>")
        line("<tbody>")
        for tier in tiers {
            let cells: String
            switch tier.cells.count {
            case 0: cells = "<td colspan=\"3\" class=\"gap\">\(escaped(outline.notLaidDown))</td>"
            case 1: cells = "<td colspan=\"3\">\(escaped(tier.cells[0]))</td>"
            default: cells = tier.cells.map { "<td>\(escaped($0))</td>" }.joined()
            }
            line("<tr><th scope=\"row\">\(escaped(tier.name))</th>\(cells)</tr>")
        }
        line("</tbody>")
        line("</table>")
    }

    private mutating func writePersons() {
        guard !outline.persons.isEmpty else { return }
        line("<section class=\"persons\">")
        line("<h2>\(escaped(outline.word("Persons", "Şəxslər"))) <span class=\"clause\">3.21</span></h2>")
        writeTable(outline.personHeads, outline.persons, "grid")
        line("</section>")
    }

    private mutating func writeSignatures() {
        line("<section class=\"signatures\">")
        line("<h2>\(escaped(outline.word("Signatures", "İmzalar")))</h2>")
        let rows = outline.signatures.map { [$0.duty, $0.name, "", ""] }
        writeTable(outline.signatureHeads, rows, "sign")
        line("</section>")
    }

    private func escaped(_ text: String) -> String {
        var made = ""
        for character in PolicyOutline.visible(text) {
            switch character {
            case "&": made += "&amp;"
            case "<": made += "&lt;"
            case ">": made += "&gt;"
            case "\"": made += "&quot;"
            case "'": made += "&#39;"
            case "\n": made += "<br>"
            default: made.append(character)
            }
        }
        return made
    }
}

/// How the page looks, on screen and on A4 paper.
private enum PolicyStyle {
    static let sheet = """

        @page { size: A4; margin: 18mm 16mm 20mm; @bottom-right { content: counter(page); } }
        :root { --ink: #1d2433; --soft: #5b6577; --line: #cfd6e1; --tint: #f3f6fa; --accent: #14506b; --warn: #a33b1f; }
        * { box-sizing: border-box; }
        body { margin: 0 auto; max-width: 62rem; padding: 2.5rem 1.5rem 4rem; color: var(--ink); background: #fff;
          font: 15px/1.5 "Noto Sans", "Segoe UI", "Liberation Sans", "DejaVu Sans", sans-serif; }
        .cover { border-top: 6px solid var(--accent); border-bottom: 1px solid var(--line); padding: 1.6rem 0 1.4rem; }
        .institution { margin: 0 0 .3rem; font-size: 1.05rem; color: var(--soft); }
        h1 { margin: 0 0 .8rem; font-size: 2.1rem; line-height: 1.2; font-weight: 600; color: var(--accent); }
        .basis { margin: 0; max-width: 46rem; color: var(--soft); }
        .edition { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: .7rem 1.5rem;
          margin: 1.2rem 0 0; }
        .edition div:last-child { grid-column: 1 / -1; }
        dt { font-size: .78rem; color: var(--soft); }
        dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
        section { margin-top: 2.4rem; }
        h2 { margin: 0 0 .8rem; font-size: 1.35rem; font-weight: 600; color: var(--accent); break-after: avoid; }
        h2 .clause { font-size: .6em; }
        h2 code { font-size: .7em; font-weight: 400; color: var(--soft); margin-left: .4rem; }
        code { font-family: "Noto Sans Mono", "Liberation Mono", "DejaVu Sans Mono", monospace; }
        .number { display: inline-block; min-width: 1.4em; color: var(--soft); font-weight: 400; }
        .clause { font-size: .75em; font-weight: 400; color: var(--soft); white-space: nowrap; }
        table { width: 100%; border-collapse: collapse; }
        th, td { padding: .42rem .6rem; text-align: left; vertical-align: top; overflow-wrap: break-word; }
        td p { margin: 0; }
        .grid th, .tiers thead th, .sign th { font-size: .8rem; font-weight: 600; color: var(--soft);
          border-bottom: 2px solid var(--accent); }
        .grid td, .tiers td, .tiers tbody th { border-bottom: 1px solid var(--line); }
        .grid { font-size: .9rem; }
        .policy { border-top: 1px solid var(--line); padding-top: 1.6rem; }
        .facts > tbody > tr > th { width: 30%; font-weight: 600; }
        .facts tr + tr:not(.group) > * { border-top: 1px solid var(--line); }
        .facts .group th { padding-top: 1rem; font-size: .8rem; font-weight: 600; color: var(--accent); }
        .facts .group + tr > * { border-top: 2px solid var(--accent); }
        .tiers { margin-top: 1.2rem; background: var(--tint); }
        .tiers caption { padding: .5rem .6rem; text-align: left; font-weight: 600; background: var(--tint); }
        .tiers tbody th { width: 20%; font-weight: 600; }
        .tiers td:nth-child(3) { width: 15%; } .tiers td:nth-child(4) { width: 19%; }
        .gap { color: var(--warn); font-style: italic; }
        .sign td { height: 3.4rem; vertical-align: bottom; }
        .sign td:nth-child(3), .sign td:nth-child(4) { border-bottom: 1px solid var(--ink); }
        .sign td:nth-child(1) { width: 30%; } .sign td:nth-child(2) { width: 28%; } .sign td:nth-child(4) { width: 14%; }
        .sign { border-spacing: 1rem 0; border-collapse: separate; margin: 0 -1rem; width: calc(100% + 2rem); }
        @media print {
          html { font-size: 12px; }
          body { max-width: none; padding: 0; font-size: 8.6pt; line-height: 1.35; }
          section { margin-top: 1.6rem; }
          th, td { padding: .24rem .5rem; }
          .policy { break-before: page; border-top: 0; padding-top: 0; margin-top: 0; }
          .persons { break-before: page; margin-top: 0; }
          .facts .group th { padding-top: .6rem; }
          .tiers { margin-top: .8rem; }
          tr, .tiers, .signatures { break-inside: avoid; }
          thead { display: table-header-group; }
          * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
        }

        """
}
