/// Rows under titles, aligned for a terminal.
package struct Table {
    package enum Alignment: Sendable { case left, right }

    private var titles: [String]
    private var alignments: [Alignment]
    private var rows: [[String]] = []

    package init(_ columns: [(title: String, alignment: Alignment)]) {
        titles = columns.map(\.title)
        alignments = columns.map(\.alignment)
    }

    /// Cells beyond the columns are dropped, missing ones are empty. Control characters are made visible.
    package mutating func add(_ cells: [String]) {
        var row = cells.prefix(titles.count).map(Printable.text)
        while row.count < titles.count { row.append("") }
        rows.append(row)
    }

    /// Columns without any content are left out; no line ends with spaces.
    package var lines: [String] {
        let shown = titles.indices.filter { column in rows.contains { !$0[column].isEmpty } }
        let widths = shown.map { column in
            rows.reduce(Printable.width(titles[column])) { max($0, Printable.width($1[column])) }
        }
        return ([titles] + rows).map { row in
            var line = ""
            for (place, column) in shown.enumerated() {
                if place > 0 { line += "  " }
                let space = String(repeating: " ", count: widths[place] - Printable.width(row[column]))
                line += alignments[column] == .right ? space + row[column] : row[column] + space
            }
            while line.last == " " { line.removeLast() }
            return line
        }
    }

    /// `Label   value` lines, for the facts of one thing.
    package static func facts(_ facts: [(label: String, value: String)]) -> [String] {
        let width = facts.reduce(0) { max($0, Printable.width($1.label)) }
        return facts.map { label, value in
            let space = String(repeating: " ", count: width - Printable.width(label) + 2)
            return label + space + Printable.text(value)
        }
    }
}
