/// One reason that keeps an archive, and until when.
package struct KeepReason: Hashable, Sendable {
    package enum Why: Hashable, Sendable {
        /// Expiry is frozen: the clock cannot be relied upon.
        case clockUntrusted
        /// Two records of the same archive say different things.
        case contradiction
        case unknownPolicy(String)
        case hold(id: String, name: String)
        case minimum(KeepingTerm)
        case tierTerm
        case owedTier(Tier)
        /// The newest complete archive of its series.
        case newestComplete
        /// The newest complete archive of its series that has a verified copy.
        case newestVerified
        /// The newest archive of its series, although partial.
        case newest
        case generation(Generation, count: Int)
        /// Files whose originals were removed are in no other archive for certain.
        case onlyCopy(files: Int)
        /// Its time has not come yet.
        case futureTime
    }

    package var why: Why
    /// The first instant at which the reason no longer holds, seconds since 1970; nil while the end is not known.
    package var until: Int64?

    package init(_ why: Why, until: Int64?) {
        self.why = why
        self.until = until
    }

    func holds(at instant: Int64) -> Bool {
        guard let until else { return true }
        return instant < until
    }
}

/// What is decided about one archive.
package struct RetentionDecision: Sendable, Equatable {
    package enum Verdict: Sendable, Equatable {
        /// Never empty; the gravest reason first.
        case keep([KeepReason])
        /// Nothing keeps it since that instant, at which the last reason ended.
        case expire(since: Int64, last: KeepReason)
    }

    package var archive: Digest
    package var verdict: Verdict
    /// Since when the longest retention that the policy permits is over, although the archive is still kept.
    package var isPastMaximumSince: Int64?

    package init(archive: Digest, verdict: Verdict, isPastMaximumSince: Int64? = nil) {
        self.archive = archive
        self.verdict = verdict
        self.isPastMaximumSince = isPastMaximumSince
    }

    package var isKept: Bool {
        switch verdict {
        case .keep: true
        case .expire: false
        }
    }

    package var reasons: [KeepReason] {
        switch verdict {
        case .keep(let reasons): reasons
        case .expire: []
        }
    }

    /// One sentence for each reason.
    package func lines(in language: Language) -> [String] {
        switch verdict {
        case .keep(let reasons):
            return reasons.map { $0.text(in: language) } + pastMaximum(in: language)
        case .expire(let since, let last):
            let when = UTCDate.text(since)
            switch language {
            case .english: return ["may be destroyed since \(when): \(last.why.ended(in: language))"]
            case .azerbaijani: return ["\(when) tarixindən məhv edilə bilər: \(last.why.ended(in: language))"]
            }
        }
    }

    package func text(in language: Language) -> String { lines(in: language).joined(separator: "\n") }

    private func pastMaximum(in language: Language) -> [String] {
        guard let since = isPastMaximumSince.map(UTCDate.text) else { return [] }
        switch language {
        case .english: return ["the longest retention that the policy permits ended at \(since)"]
        case .azerbaijani: return ["siyasətin yol verdiyi ən uzun saxlanma \(since) tarixində bitib"]
        }
    }
}

extension KeepReason {
    /// `kept because its retention period of 7 years has not ended, until 2033-04-05 12:00:00 UTC`.
    package func text(in language: Language) -> String {
        let end = until.map { UTCDate.text($0) }
        switch language {
        case .english:
            return "kept because \(why.english.holds), until \(end ?? why.english.open)"
        case .azerbaijani:
            let term = end.map { "\($0) tarixinədək" } ?? why.azerbaijani.open
            return "saxlanılır, çünki \(why.azerbaijani.holds); \(term)"
        }
    }
}

extension KeepReason.Why {
    /// Why it was the last to end, in the past.
    package func ended(in language: Language) -> String {
        switch language {
        case .english: english.ended
        case .azerbaijani: azerbaijani.ended
        }
    }

    /// What holds; what ends it when no date does; what to say when it has ended.
    fileprivate var english: (holds: String, open: String, ended: String) {
        switch self {
        case .clockUntrusted:
            ("the clock jumped and expiry is frozen", "two persons confirm the time", "the time was confirmed")
        case .contradiction:
            ("the records about it contradict each other", "they are reconciled", "its records were reconciled")
        case .unknownPolicy(let name):
            (
                "its policy \(name) is not among the policies in force", "a policy of that name is applied",
                "its policy \(name) was applied"
            )
        case .hold(_, let name):
            ("the hold “\(name)” covers it", "two persons release the hold", "the hold “\(name)” was released")
        case .minimum(.period(let period)):
            (
                "its retention period of \(period.text(in: .english)) has not ended", "it ends",
                "its retention period of \(period.text(in: .english)) ended"
            )
        case .minimum(.forever):
            ("its policy keeps it permanently", "the policy changes", "its policy changed")
        case .tierTerm:
            ("its storage periods in the tiers have not ended", "the plan changes", "its last storage period ended")
        case .owedTier(.active):
            (
                "its original is still in the active system", "the original has gone",
                "its original left the active system"
            )
        case .owedTier(let tier):
            (
                "it has not reached the \(tier.name(in: .english)) that its policy requires", "it has",
                "it reached the \(tier.name(in: .english))"
            )
        case .newestComplete:
            (
                "it is the newest complete archive of its source", "there is a newer complete one",
                "there is a newer complete archive"
            )
        case .newestVerified:
            (
                "it is the newest complete archive with a verified copy", "a newer complete one is verified",
                "a newer complete archive is verified"
            )
        case .newest:
            ("it is the newest archive of its source", "there is a newer one", "there is a newer archive")
        case .generation(.last, let count):
            (
                "it is one of the last \(count) archives", "newer ones take its place",
                "it is no longer one of the last \(count) archives"
            )
        case .generation(let generation, let count):
            (
                "it is one of the \(count) \(generation.rawValue) archives to keep", "newer ones take its place",
                "it is no longer one of the \(count) \(generation.rawValue) archives to keep"
            )
        case .onlyCopy(let files):
            (
                "it is the only copy of \(files) moved files", "the policy changes",
                "it had been kept long enough as the only copy of \(files) moved files"
            )
        case .futureTime:
            ("its time lies ahead of the vault's time", "that time", "the vault's time reached the time of the archive")
        }
    }

    fileprivate var azerbaijani: (holds: String, open: String, ended: String) {
        switch self {
        case .clockUntrusted:
            ("saat sıçrayıb və məhvetmə dondurulub", "iki şəxs vaxtı təsdiq edənədək", "vaxt təsdiq edildi")
        case .contradiction:
            ("onun haqqında qeydlər bir-birinə ziddir", "qeydlər uyğunlaşdırılanadək", "qeydlər uyğunlaşdırıldı")
        case .unknownPolicy(let name):
            (
                "\(name) siyasəti qüvvədə olan siyasətlər arasında yoxdur", "belə adlı siyasət tətbiq edilənədək",
                "\(name) siyasəti tətbiq edildi"
            )
        case .hold(_, let name):
            (
                "“\(name)” hüquqi saxlaması onu əhatə edir", "iki şəxs onu ləğv edənədək",
                "“\(name)” hüquqi saxlaması ləğv edildi"
            )
        case .minimum(.period(let period)):
            (
                "saxlanma müddəti (\(period.text(in: .azerbaijani))) bitməyib", "müddət bitənədək",
                "saxlanma müddəti (\(period.text(in: .azerbaijani))) bitdi"
            )
        case .minimum(.forever):
            ("siyasət onu daimi saxlayır", "siyasət dəyişənədək", "siyasət dəyişdi")
        case .tierTerm:
            ("səviyyələrdə saxlanma dövrləri bitməyib", "plan dəyişənədək", "sonuncu saxlanma dövrü bitdi")
        case .owedTier(.active):
            ("əsli hələ aktiv sistemdədir", "əsli oradan silinənədək", "əsli aktiv sistemdən silindi")
        case .owedTier(let tier):
            ("siyasətin tələb etdiyi \(tier.dative) hələ keçməyib", "keçənədək", "\(tier.dative) keçdi")
        case .newestComplete:
            ("mənbəyinin ən yeni tam arxividir", "daha yeni tam arxiv yarananadək", "daha yeni tam arxiv var")
        case .newestVerified:
            (
                "yoxlanmış nüsxəsi olan ən yeni tam arxivdir", "daha yeni tam arxiv yoxlananadək",
                "daha yeni tam arxiv yoxlanıb"
            )
        case .newest:
            ("mənbəyinin ən yeni arxividir", "daha yenisi yarananadək", "daha yeni arxiv var")
        case .generation(.last, let count):
            ("son \(count) arxivdən biridir", "yerini daha yenilər tutanadək", "artıq son \(count) arxivdən biri deyil")
        case .generation(let generation, let count):
            (
                "saxlanmalı \(count) \(generation.name(in: .azerbaijani)) arxivdən biridir",
                "yerini daha yenilər tutanadək",
                "artıq saxlanmalı \(count) \(generation.name(in: .azerbaijani)) arxivdən biri deyil"
            )
        case .onlyCopy(let files):
            (
                "əsli silinmiş \(files) faylın yeganə nüsxəsidir", "siyasət dəyişənədək",
                "əsli silinmiş \(files) faylın yeganə nüsxəsi kimi saxlanma müddəti bitdi"
            )
        case .futureTime:
            ("vaxtı anbarın vaxtından irəlidədir", "həmin vaxtadək", "anbarın vaxtı arxivin vaxtına çatdı")
        }
    }
}
