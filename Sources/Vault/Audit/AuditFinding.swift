package import Domain

/// One thing that is wrong with a log, and which entries it concerns.
package struct AuditFinding: Sendable, Hashable {
    package enum Kind: String, Sendable, CaseIterable {
        /// The line is not the one that was recorded.
        case altered
        /// The line is not there.
        case missing
        /// A line stands where it does not belong.
        case misplaced
        /// Neither the entries nor the stored hashes lead to what was signed.
        case unproven
        /// Stored hashes are not those of the entries; they can be made again.
        case hashes
        /// The signed root of this block is missing or not valid; it can be made again.
        case history
        /// The newest checkpoint is missing or not valid.
        case checkpoint
        /// The checkpoint is older than what else is there.
        case oldCheckpoint
        /// A checkpoint seen before knows more entries.
        case rolledBack
        /// A checkpoint seen before knows other entries.
        case splitView
        /// A kept checkpoint of another site is not one of this log.
        case cosigned
    }

    package var kind: Kind
    /// Numbers of entries.
    package var range: Range<UInt64>

    package init(_ kind: Kind, _ range: Range<UInt64>) {
        self.kind = kind
        self.range = range
    }

    package init(_ kind: Kind, _ number: UInt64) { self.init(kind, number..<number + 1) }

    /// Whether the entries themselves are proven all the same.
    package var canBeMadeAgain: Bool { kind == .hashes || kind == .history }

    package func text(_ language: Language) -> String {
        // A log without entries has findings too.
        let isOne = range.upperBound - range.lowerBound <= 1
        switch language {
        case .english:
            let place = isOne ? "entry \(range.lowerBound)" : "entries \(range.lowerBound)–\(range.upperBound - 1)"
            return "\(place): \(english)"
        case .azerbaijani:
            let place = isOne ? "qeyd \(range.lowerBound)" : "qeydlər \(range.lowerBound)–\(range.upperBound - 1)"
            return "\(place): \(azerbaijani)"
        }
    }

    private var english: String {
        switch kind {
        case .altered: "altered"
        case .missing: "missing"
        case .misplaced: "in the wrong place"
        case .unproven: "altered, or not provable because of an alteration there"
        case .hashes: "the stored hashes are wrong; the entries are not concerned"
        case .history: "a signed root of the history is missing or invalid; the entries are not concerned"
        case .checkpoint: "the checkpoint is missing or invalid"
        case .oldCheckpoint: "the checkpoint is older than the log: it was put back"
        case .rolledBack: "a checkpoint seen before has these entries: the log was rolled back"
        case .splitView: "a checkpoint seen before has other entries: there are two versions of the log"
        case .cosigned: "a kept cosigned checkpoint is not one of this log"
        }
    }

    private var azerbaijani: String {
        switch kind {
        case .altered: "dəyişdirilib"
        case .missing: "yoxdur"
        case .misplaced: "yerində deyil"
        case .unproven: "dəyişdirilib və ya oradakı dəyişikliyə görə sübut oluna bilmir"
        case .hashes: "saxlanmış heşlər səhvdir; qeydlərə aidiyyəti yoxdur"
        case .history: "tarixçənin imzalanmış kökü yoxdur və ya etibarsızdır; qeydlərə aidiyyəti yoxdur"
        case .checkpoint: "nəzarət nöqtəsi yoxdur və ya etibarsızdır"
        case .oldCheckpoint: "nəzarət nöqtəsi jurnaldan köhnədir: geri qoyulub"
        case .rolledBack: "əvvəl görülmüş nəzarət nöqtəsində bu qeydlər var: jurnal geri qaytarılıb"
        case .splitView: "əvvəl görülmüş nəzarət nöqtəsində başqa qeydlər var: jurnalın iki variantı var"
        case .cosigned: "saxlanmış birgə imzalı nəzarət nöqtəsi bu jurnalın deyil"
        }
    }
}

/// What verifying a log found.
package struct AuditReport: Sendable {
    package static let maximumFindings = 1000

    private let limit: Int

    package init(limit: Int = Self.maximumFindings) { self.limit = limit }

    /// Entries under the newest valid checkpoint, and entries after it.
    package var size: UInt64 = 0
    package var recent: UInt64 = 0
    package var root = Merkle.empty
    /// Bytes at the end that a power cut tore.
    package var torn: UInt64 = 0
    package private(set) var findings: [AuditFinding] = []
    /// Findings beyond the limit.
    package private(set) var omitted = 0

    package var isClean: Bool { findings.isEmpty }

    /// Neighbours of one kind become one finding.
    mutating func add(_ finding: AuditFinding) {
        if let last = findings.last, last.kind == finding.kind, last.range.upperBound == finding.range.lowerBound {
            findings[findings.count - 1].range = last.range.lowerBound..<finding.range.upperBound
        } else if findings.last == finding {
            return
        } else if findings.count < limit {
            findings.append(finding)
        } else {
            omitted += 1
        }
    }
}
