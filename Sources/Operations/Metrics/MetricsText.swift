/// The exposition format of Prometheus, version 0.0.4, as far as counters and gauges need it.
///
/// Invariants: HELP and TYPE stand once for a name, directly before all of its samples; a family without a sample is left
/// out; label values may hold any text. The names are API: dashboards and alert rules stand on them.
struct MetricsText {
    enum Kind: String, Sendable { case counter, gauge }

    struct Sample: Sendable, Equatable {
        var labels: [(name: String, value: String)] = []
        var value: Double

        static func == (a: Sample, b: Sample) -> Bool {
            a.value == b.value && a.labels.elementsEqual(b.labels) { $0.name == $1.name && $0.value == $1.value }
        }
    }

    private(set) var text = ""

    mutating func family(_ name: String, _ kind: Kind, _ help: String, _ samples: [Sample]) {
        guard !samples.isEmpty else { return }
        text += "# HELP \(name) \(Self.escaped(help))\n# TYPE \(name) \(kind.rawValue)\n"
        for sample in samples {
            let labels = sample.labels.map { "\($0.name)=\"\(Self.escaped($0.value, quotes: true))\"" }
            let braces = labels.isEmpty ? "" : "{\(labels.joined(separator: ","))}"
            text += "\(name)\(braces) \(Self.number(sample.value))\n"
        }
    }

    /// One sample without labels, where there is a value.
    mutating func single(_ name: String, _ kind: Kind, _ help: String, _ value: Double?) {
        family(name, kind, help, value.map { [Sample(value: $0)] } ?? [])
    }

    static func escaped(_ text: String, quotes: Bool = false) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where quotes: escaped += "\\\""
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }

    /// Whole numbers without a fraction or an exponent.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if value.magnitude < 9e15, value == value.rounded() { return "\(Int64(value))" }
        return "\(value)"
    }
}
