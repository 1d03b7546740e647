extension Policy {
    /// What a copy of the archives is, and what it can be relied on for.
    package enum CopyRole: String, Sendable, CaseIterable, Codable {
        /// The vault that runs write to.
        case vault
        /// A vault on another site that follows the first one and takes no deletion from it.
        case mirror
        /// Offline volumes on a shelf.
        case volume

        package func name(in language: Language) -> String {
            switch (self, language) {
            case (.vault, .english): "vault"
            case (.vault, .azerbaijani): "arxiv anbarı"
            case (.mirror, .english): "mirror copy"
            case (.mirror, .azerbaijani): "güzgü nüsxə"
            case (.volume, .english): "offline volumes"
            case (.volume, .azerbaijani): "oflayn daşıyıcılar"
            }
        }
    }

    /// Where copies of every archive are demanded.
    package struct Copy: Sendable, Equatable {
        /// The name of the site, well formed as a policy's name is: a failure of one site must not reach another.
        package var site: String
        package var role: CopyRole
        /// Of volumes, how many hold each archive; 1 for the other roles.
        package var count: Int
        /// How far a mirror may be behind; of fixed length.
        package var lag: Period?

        package init(site: String, role: CopyRole, count: Int = 1, lag: Period? = nil) {
            self.site = site
            self.role = role
            self.count = count
            self.lag = lag
        }
    }

    /// What a run may take from the machine.
    package struct Limits: Sendable, Equatable {
        /// Of what a run reads from its sources, on average; at least 1024. What is known to be unchanged is not read.
        package var bytesPerSecond: Int64?
        /// Of the time of all processors together that the threads of a run may use, on average; 1 to 100.
        package var cpuPercent: Int?

        package init(bytesPerSecond: Int64? = nil, cpuPercent: Int? = nil) {
            self.bytesPerSecond = bytesPerSecond
            self.cpuPercent = cpuPercent
        }

        package var isEmpty: Bool { bytesPerSecond == nil && cpuPercent == nil }
    }

    /// How often is proven that the archives are there and can be restored.
    package struct Verification: Sendable, Equatable {
        /// Every stored object is there and has its digest; needs no key.
        package var stored: Period?
        /// Every chunk is opened, decompressed and identified.
        package var content: Period?
        /// A recovery is practised.
        package var drill: Period?

        package init(stored: Period? = nil, content: Period? = nil, drill: Period? = nil) {
            self.stored = stored
            self.content = content
            self.drill = drill
        }
    }

    /// A program that is run beside an archiving, without a shell.
    package struct Hook: Sendable, Equatable {
        /// After which it counts as failed, when nothing is said.
        package static let usualTimeout = Period.hours(1)
        package static let longestTimeout = Period.days(7)
        package static let maximumArguments = 64

        /// An absolute path and its arguments.
        package var command: [String]
        package var timeout: Period

        package init(command: [String], timeout: Period = Hook.usualTimeout) {
            self.command = command
            self.timeout = timeout
        }
    }

    package struct Hooks: Sendable, Equatable {
        /// In order; one that fails ends the run before anything is read.
        package var before: [Hook]
        /// In order, whatever became of the run; one that fails is reported.
        package var after: [Hook]

        package init(before: [Hook] = [], after: [Hook] = []) {
            self.before = before
            self.after = after
        }
    }

    /// Levels of zstd that a policy may ask for.
    package static let compressionLevels = 1...19

    /// Volumes of one copy.
    package static let volumeCounts = 1...TierPlan.maximumOfflineCopies

    /// The sites that must hold a verified online copy, in the order of the policy.
    package var onlinePlaces: [String] { copies.filter { $0.role != .volume }.map(\.site) }

    /// On how many volumes each archive is demanded.
    package var volumeCount: Int { copies.filter { $0.role == .volume }.reduce(0) { $0 + $1.count } }

    /// The plan of the tiers; nil until all three are answered. It throws when the answers contradict each other.
    package func tierPlan() throws(RetentionError) -> TierPlan? {
        guard let active = tiers[.active], let online = tiers[.online], let offline = tiers[.offline] else {
            return nil
        }
        return try TierPlan(
            active: active, online: online, offline: offline, mode: mode, places: onlinePlaces,
            offlineCopies: volumeCount)
    }
}

extension TierPlan.Mode {
    package func name(in language: Language) -> String {
        switch (self, language) {
        case (.copy, .english): "the original stays"
        case (.copy, .azerbaijani): "əsli yerində qalır"
        case (.move, .english): "the original is removed once its archive is verified in every place"
        case (.move, .azerbaijani): "arxivi bütün yerlərdə yoxlanıldıqdan sonra əsli silinir"
        }
    }
}
