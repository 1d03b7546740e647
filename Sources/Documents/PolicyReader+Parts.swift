import Domain
import Yams

extension PolicyReader {
    static let scheduleKeys = ["calendar", "zone", "jitter", "catch-up", "windows"]
    static let copyKeys = ["site", "role", "count", "lag"]
    static let tierKeys = ["format", "period", "on", "after", "unused"]
    static let retentionKeys = ["keep-for", "maximum"] + Generation.allCases.map(\.rawValue)
    static let limitKeys = ["bandwidth", "cpu"]
    static let verificationKeys = ["stored", "content", "drill"]
    static let hooksKeys = ["before", "after"]
    static let hookKeys = ["run", "timeout"]
    static let maximumCopies = 64
    static let maximumHooks = 16

    mutating func readParts(_ values: [String: Node], _ policy: inout Policy) {
        if let node = values["mode"] {
            policy.mode = nodes.choice(node, named: "mode", of: TierPlan.Mode.self) ?? policy.mode
        }
        policy.schedule = values["schedule"].flatMap { schedule($0, of: policy.name) }
        policy.rpo = values["rpo"].flatMap { nodes.fixedPeriod($0, named: "rpo") }
        policy.rto = values["rto"].flatMap { nodes.fixedPeriod($0, named: "rto") }
        if let node = values["copies"] {
            let items = nodes.list(node, named: "copies", atMost: Self.maximumCopies) ?? []
            policy.copies = items.compactMap { copy($0) }
        }
        if let node = values["tiers"] { policy.tiers = tiers(node) }
        policy.retention = values["retention"].flatMap { retention($0) }
        policy.compressionLevel = values["compression-level"].flatMap {
            nodes.number($0, named: "compression-level", in: Policy.compressionLevels)
        }
        if let node = values["limits"] { policy.limits = limits(node) }
        if let node = values["verification"] { policy.verification = verification(node) }
        if let node = values["hooks"] { policy.hooks = hooks(node) }
    }

    // MARK: - Schedule

    private mutating func schedule(_ node: Node, of policy: String) -> Schedule? {
        let values = nodes.mapping(
            node, named: "schedule", place: .schedule, allowed: Self.scheduleKeys, required: ["calendar"])
        guard let values else { return nil }
        let expression = values["calendar"].flatMap { calendar($0) }
        let zone = values["zone"].flatMap { readZone($0) }
        let longest = Period.seconds(Schedule.maximumJitter)
        let jitter = values["jitter"].flatMap { nodes.fixedPeriod($0, named: "jitter", atMost: longest) }
        let catchUp = values["catch-up"].flatMap { nodes.choice($0, named: "catch-up", of: CatchUp.self) }
        let windows = values["windows"].map { readWindows($0) }
        guard let expression else { return nil }
        if let zoneNode = values["zone"], expression.zoneName != nil {
            nodes.note(zoneNode, .standsAlone("zone", beside: "calendar"))
        }
        return Schedule(
            expression, zoneName: zone, jitter: Int(clamping: jitter?.seconds ?? 0), seed: Self.seed(of: policy),
            catchUp: catchUp ?? .latest, windows: windows ?? [])
    }

    private mutating func calendar(_ node: Node) -> CalendarExpression? {
        guard let text = nodes.text(node, named: "calendar") else { return nil }
        do {
            return try CalendarExpression(parsing: text)
        } catch {
            nodes.note(node, at: error.offset, .calendar("calendar", error))
            return nil
        }
    }

    private mutating func readZone(_ node: Node) -> String? {
        guard let name = nodes.text(node, named: "zone") else { return nil }
        if CalendarExpression.hasFormOfZone(name) { return name }
        nodes.note(node, .badZone(nodes.shown(name)))
        return nil
    }

    private mutating func readWindows(_ node: Node) -> [TimeWindow] {
        let items = nodes.list(node, named: "windows", orOne: true, atMost: Schedule.maximumWindows) ?? []
        var windows: [TimeWindow] = []
        for item in items {
            guard let text = nodes.text(item, named: "windows") else { continue }
            do {
                windows.append(try TimeWindow(parsing: text))
            } catch {
                nodes.note(item, at: error.offset, .calendar("windows", error))
            }
        }
        return windows
    }

    /// The same for a name for good, different for different names: FNV-1a.
    private static func seed(of name: String) -> UInt64 {
        name.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
    }

    // MARK: - Copies and tiers

    private mutating func copy(_ node: Node) -> Policy.Copy? {
        let values = nodes.mapping(
            node, named: "copies", place: .copy, allowed: Self.copyKeys, required: ["site", "role"])
        guard let values else { return nil }
        let site = values["site"].flatMap { nodes.id($0, named: "site") }
        let role = values["role"].flatMap { nodes.choice($0, named: "role", of: Policy.CopyRole.self) }
        let count = values["count"].flatMap { nodes.number($0, named: "count", in: Policy.volumeCounts) }
        let lag = values["lag"].flatMap { nodes.fixedPeriod($0, named: "lag") }
        guard let site, let role else { return nil }
        if let node = values["count"], role != .volume { nodes.note(node, .onlyFor("count", value: "volume")) }
        if let node = values["lag"], role != .mirror { nodes.note(node, .onlyFor("lag", value: "mirror")) }
        return Policy.Copy(site: site, role: role, count: count ?? 1, lag: lag)
    }

    private mutating func tiers(_ node: Node) -> [Tier: TierUse] {
        let names = Tier.allCases.map(\.rawValue)
        guard let values = nodes.mapping(node, named: "tiers", place: .tiers, allowed: names) else { return [:] }
        var tiers: [Tier: TierUse] = [:]
        for tier in Tier.allCases {
            if let node = values[tier.rawValue] { tiers[tier] = tierUse(node, of: tier) }
        }
        return tiers
    }

    private mutating func tierUse(_ node: Node, of tier: Tier) -> TierUse? {
        let isUnused: Bool
        if case .mapping(let pairs) = node {
            isUnused = pairs.contains { $0.key.scalar?.string == "unused" }
        } else {
            isUnused = false
        }
        let values = nodes.mapping(
            node, named: tier.rawValue, place: .tier, allowed: Self.tierKeys,
            required: isUnused ? [] : ["format", "period"], clause: .formatsAndPeriods)
        guard let values else { return nil }
        if let reasonNode = values["unused"] {
            for key in Self.tierKeys where key != "unused" {
                if let other = values[key] { nodes.note(other, .standsAlone(key, beside: "unused")) }
            }
            return nodes.text(reasonNode, named: "unused").map { .unused(reason: $0) }
        }
        let format = values["format"].flatMap { nodes.text($0, named: "format") }
        let keep = values["period"].flatMap { nodes.term($0, named: "period") }
        let trigger = readTrigger(values, node, of: tier)
        guard let format, let keep, let trigger else { return nil }
        return .used(format: format, keep: keep, trigger: trigger)
    }

    /// Data are in the active tier from the beginning; the others say when they begin.
    private mutating func readTrigger(_ values: [String: Node], _ node: Node, of tier: Tier) -> TierTrigger? {
        if tier == .active {
            for key in ["on", "after"] {
                if let node = values[key] { nodes.note(node, .retention(key, RetentionError(.activeTrigger))) }
            }
            return .onCommit
        }
        switch (values["on"], values["after"]) {
        case (nil, nil):
            nodes.note(node, .oneOf("on", "after"), clause: .formatsAndPeriods)
            return nil
        case (_?, let after?):
            nodes.note(after, .standsAlone("after", beside: "on"))
            return nil
        case (let on?, nil): return nodes.choice(on, named: "on", of: TierStart.self).map { _ in .onCommit }
        case (nil, let after?):
            if after.scalar?.string == "previous" { return .afterPrevious }
            return nodes.period(after, named: "after").map { .after($0) }
        }
    }

    private enum TierStart: String, CaseIterable {
        case commit
    }

    // MARK: - Retention, limits, verification

    private mutating func retention(_ node: Node) -> RetentionRule? {
        let values = nodes.mapping(
            node, named: "retention", place: .retention, allowed: Self.retentionKeys, required: ["keep-for"],
            clause: .formatsAndPeriods)
        guard let values else { return nil }
        let keepFor = values["keep-for"].flatMap { nodes.term($0, named: "keep-for") }
        let maximum = values["maximum"].flatMap { nodes.period($0, named: "maximum") }
        var counts: [Generation: Int] = [:]
        for generation in Generation.allCases {
            counts[generation] = values[generation.rawValue].flatMap {
                nodes.number($0, named: generation.rawValue, in: 0...RetentionRule.maximumCount)
            }
        }
        guard let keepFor else { return nil }
        do {
            return try RetentionRule(
                keepFor: keepFor, last: counts[.last] ?? 0, hourly: counts[.hourly] ?? 0, daily: counts[.daily] ?? 0,
                weekly: counts[.weekly] ?? 0, monthly: counts[.monthly] ?? 0, yearly: counts[.yearly] ?? 0,
                maximum: maximum)
        } catch {
            nodes.note(values["maximum"] ?? node, .retention("retention", error))
            return nil
        }
    }

    private mutating func limits(_ node: Node) -> Policy.Limits {
        guard let values = nodes.mapping(node, named: "limits", place: .limits, allowed: Self.limitKeys) else {
            return Policy.Limits()
        }
        var limits = Policy.Limits()
        if let node = values["bandwidth"], let text = nodes.text(node, named: "bandwidth") {
            do {
                limits.bytesPerSecond = try Amounts.bytesPerSecond(text)
            } catch {
                nodes.note(node, .amount(.bandwidth, found: nodes.shown(text), error))
            }
        }
        if let node = values["cpu"], let text = nodes.text(node, named: "cpu") {
            do {
                limits.cpuPercent = try Amounts.percent(text)
            } catch {
                nodes.note(node, .amount(.cpu, found: nodes.shown(text), error))
            }
        }
        return limits
    }

    private mutating func verification(_ node: Node) -> Policy.Verification {
        let values = nodes.mapping(
            node, named: "verification", place: .verification, allowed: Self.verificationKeys)
        guard let values else { return Policy.Verification() }
        return Policy.Verification(
            stored: values["stored"].flatMap { nodes.period($0, named: "stored") },
            content: values["content"].flatMap { nodes.period($0, named: "content") },
            drill: values["drill"].flatMap { nodes.period($0, named: "drill") })
    }

    // MARK: - Hooks

    private mutating func hooks(_ node: Node) -> Policy.Hooks {
        guard let values = nodes.mapping(node, named: "hooks", place: .hooks, allowed: Self.hooksKeys) else {
            return Policy.Hooks()
        }
        return Policy.Hooks(
            before: values["before"].map { hookList($0, named: "before") } ?? [],
            after: values["after"].map { hookList($0, named: "after") } ?? [])
    }

    private mutating func hookList(_ node: Node, named name: String) -> [Policy.Hook] {
        let items = nodes.list(node, named: name, atMost: Self.maximumHooks) ?? []
        return items.compactMap { hook($0, named: name) }
    }

    private mutating func hook(_ node: Node, named name: String) -> Policy.Hook? {
        let values = nodes.mapping(node, named: name, place: .hook, allowed: Self.hookKeys, required: ["run"])
        guard let values else { return nil }
        let timeout = values["timeout"].flatMap {
            nodes.fixedPeriod($0, named: "timeout", atMost: Policy.Hook.longestTimeout)
        }
        guard let command = values["run"].flatMap({ program($0, named: "run") }) else { return nil }
        return Policy.Hook(command: command, timeout: timeout ?? Policy.Hook.usualTimeout)
    }

    /// A program and its arguments, as a list.
    mutating func program(_ run: Node, named name: String) -> [String]? {
        guard let items = nodes.list(run, named: name, atMost: Policy.Hook.maximumArguments) else { return nil }
        guard let first = items.first else {
            nodes.note(run, .emptyValue(name))
            return nil
        }
        // Arguments may be empty texts; the program may not.
        let arguments = items.dropFirst().compactMap { argument($0) }
        guard let program = nodes.text(first, named: name) else { return nil }
        guard PathText.isAbsolute(program) else {
            nodes.note(first, .notAProgram(nodes.shown(program)))
            return nil
        }
        return [program] + arguments
    }

    private mutating func argument(_ node: Node) -> String? {
        if case .scalar(let scalar) = node, scalar.string.isEmpty, scalar.style != .plain { return "" }
        return nodes.text(node, named: "run")
    }
}
