/// How what was found on a host differs from what is planned and from what was found before.
///
/// Pure: whoever looks says what was found, and what is known to be gone.
package enum SourceDrift {
    package struct Finding: Sendable, Equatable {
        package enum Kind: String, Sendable, CaseIterable {
            /// No policy archives it.
            case unplanned
            /// A server has another version than at the look before.
            case changed
            /// It was there, or a policy names it, and is not there.
            case vanished
        }

        package var kind: Kind
        package var source: FoundSource.Identity
        /// The versions of a change.
        package var was: String?
        package var now: String?

        package init(_ kind: Kind, _ source: FoundSource.Identity, was: String? = nil, now: String? = nil) {
            self.kind = kind
            self.source = source
            self.was = was
            self.now = now
        }
    }

    /// In the order of kind and place. `absent` is what was looked for and is not there; what could not be looked at is
    /// in neither, and nothing follows from that. `expected` is what the policies name.
    package static func findings(
        found: [FoundSource], remembered: [FoundSource], expected: [FoundSource.Identity],
        absent: Set<FoundSource.Identity>, isPlanned: (FoundSource) -> Bool
    ) -> [Finding] {
        let before = Dictionary(remembered.map { ($0.identity, $0) }) { first, _ in first }
        var findings = found.filter { !isPlanned($0) }.map { Finding(.unplanned, $0.identity) }
        for source in found {
            guard let was = before[source.identity]?.version, let now = source.version, isChange(was, now) else {
                continue
            }
            findings.append(Finding(.changed, source.identity, was: was, now: now))
        }
        let there = Set(found.map(\.identity))
        let gone = Set(before.keys).union(expected).intersection(absent).subtracting(there)
        findings += gone.map { Finding(.vanished, $0) }
        return findings.sorted { a, b in
            (a.kind.rank, a.source.kind.rawValue, a.source.place) < (
                b.kind.rank, b.source.kind.rawValue, b.source.place
            )
        }
    }

    /// What is to be remembered after a look: what it could not see is as it was.
    package static func remembered(
        after found: [FoundSource], before: [FoundSource], absent: Set<FoundSource.Identity>
    ) -> [FoundSource] {
        let old = Dictionary(before.map { ($0.identity, $0) }) { first, _ in first }
        var kept = found.map { source in
            var source = source.remembered
            guard let was = old[source.identity] else { return source }
            // A server that runs says more of its version than its files do.
            if let version = was.version,
                source.version.map({ !isChange(version, $0) && $0.count < version.count }) ?? true
            {
                source.version = version
            }
            source.socket = source.socket ?? was.socket
            source.port = source.port ?? was.port
            return source
        }
        let there = Set(found.map(\.identity))
        kept += before.filter { !there.contains($0.identity) && !absent.contains($0.identity) }
        return kept
    }

    /// Whether two versions differ in what both say: `15` and `15.18` do not.
    package static func isChange(_ was: String, _ now: String) -> Bool {
        !zip(was.split(separator: "."), now.split(separator: ".")).allSatisfy { $0 == $1 }
    }
}

extension SourceDrift.Finding.Kind {
    fileprivate var rank: Int {
        switch self {
        case .unplanned: 0
        case .changed: 1
        case .vanished: 2
        }
    }
}
