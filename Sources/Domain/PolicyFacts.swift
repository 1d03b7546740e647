/// What a policy says under one key, in words: the same lines for documents, for plans of change and for people who
/// never saw the language of policies.
package struct PolicyFact: Sendable, Equatable {
    /// The key as documents write it, such as `tiers.online`.
    package var field: String
    package var label: String
    /// Empty when the policy says nothing under this key. Every difference between two policies shows in these lines.
    package var lines: [String]
}

/// All facts of a policy in a fixed order.
package struct PolicyFacts {
    let policy: Policy
    let language: Language

    package static func of(_ policy: Policy, in language: Language) -> [PolicyFact] {
        PolicyFacts(policy: policy, language: language).all
    }

    /// The words of whichever language is wanted.
    func word(_ english: String, _ azerbaijani: String) -> String {
        language == .english ? english : azerbaijani
    }

    private func fact(_ field: String, _ english: String, _ azerbaijani: String, _ lines: [String]) -> PolicyFact {
        PolicyFact(field: field, label: word(english, azerbaijani), lines: lines)
    }

    private var all: [PolicyFact] {
        [
            fact("component", "Component", "Komponent", [policy.component.name(in: language)]),
            fact(
                "responsible", "Responsible archivist", "Arxivləşdirilmə üzrə məsul şəxs",
                lines(policy.responsiblePerson, policy.responsibleTerm)),
            fact(
                "deputy", "Deputy", "Müavin",
                policy.deputyPerson.map { lines($0, policy.deputyTerm) } ?? []),
            fact("legal-basis", "Legal basis", "Hüquqi əsas", one(policy.legalBasis)),
            fact(
                "confidentiality", "Confidentiality", "Məxfilik dərəcəsi",
                [policy.confidentiality.name(in: language)]),
            fact("vault", "Vault", "Arxiv anbarı", one(policy.vault)),
            fact("sources", "Sources", "Mənbələr", sourceLines),
            fact("mode", "Original", "Əsli", [policy.mode.name(in: language)]),
            fact("schedule", "Schedule", "Cədvəl", scheduleLines),
            fact(
                "rpo", "Recovery point objective (RPO)", "İtirilə bilən məlumatın həddi (RPO)", one(policy.rpo)),
            fact("rto", "Recovery time objective (RTO)", "Bərpa müddətinin həddi (RTO)", one(policy.rto)),
            fact("copies", "Copies and sites", "Nüsxələr və mərkəzlər", policy.copies.map(line)),
        ] + Tier.allCases.map(tierFact) + [
            fact("retention", "Retention period", "Saxlanma müddəti", retentionLines),
            fact(
                "compression-level", "Compression level", "Sıxma səviyyəsi",
                one(policy.compressionLevel.map(String.init))),
            fact("limits", "Limits", "Məhdudiyyətlər", limitLines),
            fact("verification", "Verification", "Yoxlama", verificationLines),
            fact("hooks.before", "Run before", "Əvvəl icra olunan", policy.hooks.before.map(line)),
            fact("hooks.after", "Run after", "Sonra icra olunan", policy.hooks.after.map(line)),
            fact("recovery-plan", "Recovery plan", "Bərpa planı", one(policy.recoveryPlan)),
            fact("clauses", "Further clauses", "Digər müddəalar", policy.clauses),
        ]
    }

    private func one(_ text: String?) -> [String] { text.map { [$0] } ?? [] }
    private func one(_ period: Period?) -> [String] { one(period?.text(in: language)) }

    private func lines(_ person: Person, _ term: Validity) -> [String] {
        let name = person.id.map { "\(person.name) (\($0))" } ?? person.name
        var lines = [[name, person.position].compactMap(\.self).joined(separator: ", ")]
        let contact = [person.email, person.phone].compactMap(\.self).joined(separator: ", ")
        if !contact.isEmpty { lines.append(contact) }
        if term != .always { lines.append("\(word("appointed", "təyinat")): \(term.text(in: language))") }
        return lines
    }

    private func line(_ source: FileSource) -> String {
        var parts = [source.path]
        if !source.excludes.isEmpty {
            let patterns = source.excludes.map(Self.quoted).joined(separator: " ")
            parts.append("\(word("without", "istisna")): \(patterns)")
        }
        if source.oneFileSystem { parts.append(word("one file system", "bir fayl sistemi")) }
        if source.excludeCaches { parts.append(word("without caches", "keşlərsiz")) }
        return parts.joined(separator: "; ")
    }

    private var sourceLines: [String] {
        let files: [String] = policy.sources.map { line($0) }
        let logs: [String] = policy.logs.map { line($0) }
        let data: [String] = policy.data.map { line($0) }
        return files + logs + data
    }

    private func line(_ source: DataSource) -> String {
        switch source {
        case .command(let command):
            "\(word("output of", "proqramın çıxışı")): \(command.command.map(Self.quoted).joined(separator: " ")); "
                + "\(command.name)/\(command.file); \(word("at most", "ən çoxu")) \(command.timeout.text(in: language)); "
                + "\(word("at least", "ən azı")) \(command.minimumBytes) B"
        case .sqlite(let database): line(database)
        case .git(let repository): line(repository)
        case .postgresql(let cluster): line(cluster)
        case .wal(let wal): line(wal)
        case .mariadb(let server): line(server)
        case .mariadbLogs(let server): logLine(server)
        }
    }

    private func line(_ source: LogSource) -> String {
        if let units = source.journalUnits {
            let which = units.isEmpty ? word("all units", "bütün xidmətlər") : units.joined(separator: " ")
            return "\(word("journal", "journald jurnalı")): \(which); \(source.path)"
        }
        return "\(word("logs", "loqlar")): \(source.path); \(source.format.name(in: language))"
    }

    private var scheduleLines: [String] {
        guard let schedule = policy.schedule else { return [] }
        let expression = schedule.expression
        let calendar = expression.text(in: language).map { "\($0) (\(expression.description))" }
        var lines = ["\(calendar ?? expression.description); \(schedule.effectiveZoneName)"]
        if schedule.jitter > 0 {
            let jitter = Period.seconds(schedule.jitter).text(in: language)
            lines.append(word("at most \(jitter) later", "ən çoxu \(jitter) sonra"))
        }
        if !schedule.windows.isEmpty {
            let windows = schedule.windows.map { $0.text(in: language) }.joined(separator: ", ")
            lines.append("\(word("starts only", "yalnız bu vaxt başlayır")): \(windows)")
        }
        lines.append(schedule.catchUp.name(in: language))
        return lines
    }

    private func line(_ copy: Policy.Copy) -> String {
        var text = "\(copy.role.name(in: language)): \(copy.site)"
        if copy.role == .volume { text += ", \(copy.count) \(word("for each archive", "nüsxə"))" }
        if let lag = copy.lag?.text(in: language) {
            text += ", " + word("at most \(lag) behind", "ən çoxu \(lag) geri")
        }
        return text
    }

    private func tierFact(_ tier: Tier) -> PolicyFact {
        let name = tier.name(in: language)
        let label = name.prefix(1).uppercased() + name.dropFirst()
        return PolicyFact(field: "tiers.\(tier.rawValue)", label: label, lines: tierLines(policy.tiers[tier], tier))
    }

    private func tierLines(_ use: TierUse?, _ tier: Tier) -> [String] {
        switch use {
        case nil: return []
        case .unused(let reason): return ["\(word("not used", "istifadə olunmur")): \(reason)"]
        case .used(let format, let keep, let trigger):
            var lines = [
                "\(word("format", "format")): \(format)",
                "\(word("period", "dövr")): \(keep.text(in: language))",
            ]
            if tier != .active { lines.append("\(word("begins", "başlayır")): \(trigger.text(in: language))") }
            return lines
        }
    }

    private var retentionLines: [String] {
        guard let rule = policy.retention else { return [] }
        var lines = [word("at least: ", "ən azı: ") + rule.keepFor.text(in: language)]
        let generations = Generation.allCases.compactMap { generation -> String? in
            let count = rule.count(of: generation)
            let name = generation.name(in: language)
            let isCounted = language == .english && generation != .last
            return count == 0 ? nil : isCounted ? "\(count) \(name)" : "\(name) \(count)"
        }
        if !generations.isEmpty {
            lines.append("\(word("beyond it", "bundan əlavə")): \(generations.joined(separator: ", "))")
        }
        if let maximum = rule.maximum?.text(in: language) { lines.append(word("at most: ", "ən çoxu: ") + maximum) }
        return lines
    }

    private var limitLines: [String] {
        var lines: [String] = []
        if let rate = policy.limits.bytesPerSecond {
            lines.append("\(word("reading", "oxuma")): \(Amounts.text(bytesPerSecond: rate, in: language))")
        }
        if let percent = policy.limits.cpuPercent {
            lines.append("\(word("processors", "prosessorlar")): \(percent)%")
        }
        return lines
    }

    private var verificationLines: [String] {
        let verification = policy.verification
        let parts = [
            (verification.stored, word("stored objects", "saxlanılan obyektlər")),
            (verification.content, word("content", "məzmun")),
            (verification.drill, word("recovery drill", "bərpa təlimi")),
        ]
        return parts.compactMap { period, name in
            (period?.text(in: language)).map { "\(name): \(word("every", "hər")) \($0)" }
        }
    }

    private func line(_ hook: Policy.Hook) -> String {
        let timeout = hook.timeout.text(in: language)
        let command = hook.command.map(Self.quoted).joined(separator: " ")
        return "\(command); \(word("at most \(timeout)", "ən çoxu \(timeout)"))"
    }

    /// In quotes, as a shell would want it, unless it is plain.
    private static func quoted(_ word: String) -> String {
        let isPlain = word.unicodeScalars.allSatisfy {
            $0.properties.isAlphabetic || ("0"..."9").contains($0) || "-_./=:@%+,".unicodeScalars.contains($0)
        }
        return isPlain && !word.isEmpty ? word : "'\(word.replacing("'", with: "'\\''"))'"
    }
}
