import Domain
import Operations

/// A restore into a directory that held the cluster already, as lines for people.
extension Rendering {
    static func delta(_ report: DeltaReport, isDry: Bool, _ language: Language) -> [String] {
        func word(_ english: String, _ azerbaijani: String) -> String {
            language == .azerbaijani ? azerbaijani : english
        }
        var lines: [String] = []
        if isDry {
            lines += report.changes.map { change in
                let what =
                    switch change.what {
                    case .changed: word("changed", "dəyişib")
                    case .missing: word("missing", "çatışmır")
                    case .removed: word("removed", "silinir")
                    }
                return "  \(what): \(Printable.text(change.path))"
            }
            let rest = report.changeCount - report.changes.count
            if rest > 0 {
                lines.append(word("  and \(Readable.count(rest)) more", "  və daha \(Readable.count(rest))"))
            }
        }
        let (kept, changed) = (Readable.count(report.kept), Readable.count(report.changed))
        let (missing, removed) = (Readable.count(report.missing), Readable.count(report.removed))
        lines.append(
            "  "
                + word(
                    "files that were right: \(kept); changed: \(changed), missing: \(missing), not in the archive: \(removed)",
                    "düzgün olan fayllar: \(kept); dəyişmiş: \(changed), çatışmayan: \(missing), arxivdə olmayan: \(removed)"
                ))
        return lines
    }
}
