extension PolicyFinding {
    /// What is wrong and what to do, without the place and without the clause.
    package func text(in language: Language) -> String {
        switch language {
        case .english: reason.english
        case .azerbaijani: reason.azerbaijani
        }
    }
}

extension PolicyFinding.Reason {
    fileprivate var english: String {
        switch self {
        case .missing(let demand): demand.english
        case .samePerson(let name): "\(name) cannot be both responsible and deputy; name another person"
        case .notInOffice(let duty, let name, let term):
            "\(duty == .responsible ? "the responsible person" : "the deputy") \(name) is not in office today"
                + " (\(term.text(in: .english))); appoint somebody or extend the term"
        case .duplicateName(let name): "another policy is named `\(name)` already; every name is given once"
        case .unknownZone(let name): "there is no time zone `\(name)`; write a name such as `Asia/Baku`, or `UTC`"
        case .neverRuns: "the schedule never starts a run; check the calendar expression and the windows"
        case .runsEnd(let last):
            "the schedule ends with the run of \(InstantText.utc(last * 1_000_000)); write one that goes on"
        case .rpoOutOfReach(let rpo, let gap, let until):
            "runs can be \(gapText(gap, .english)) apart (until \(InstantText.utc(until * 1_000_000))), so the RPO of"
                + " \(rpo.text(in: .english)) cannot be met; run more often or raise the RPO"
        case .noVault: "no copy has the role `vault`; say at which site the vault is"
        case .severalVaults: "only one copy can have the role `vault`; the others are mirrors"
        case .sameSite(let site):
            "two online copies are at the site `\(site)`; a mirror must be at another site than the vault"
        case .sameVolumeSite(let site): "volumes at the site `\(site)` are listed twice; raise `count` instead"
        case .noMirror: "no copy has the role `mirror`; copies must also be kept at the standby centre"
        case .lagBeyondRPO(let lag, let rpo):
            "a mirror that may be \(lag.text(in: .english)) behind cannot hold the RPO of \(rpo.text(in: .english))"
        case .noVolumes: "the offline tier is used and no copy has the role `volume`; say where volumes are kept"
        case .unusedVolumes: "volumes are demanded and the offline tier is not used; describe the tier or drop the copy"
        case .moveNeedsSecondCopy: "`mode: move` would leave a single copy; name at least two, or use `mode: copy`"
        case .contradictoryTiers(let error): sentence(error.message(in: .english), error.hint(in: .english))
        case .tierGap(let tier, let before):
            "the \(tier.name(in: .english)) begins after the period in the \(before.name(in: .english)) is over;"
                + " lengthen that period or begin earlier"
        case .tiersEndBeforeRetention(let term):
            "no tier keeps archives for the retention period (\(term.text(in: .english))); lengthen a tier's period"
        case .tiersOutlastMaximum(let maximum):
            "a tier keeps archives longer than the maximum of \(maximum.text(in: .english)); shorten its period"
        case .tooOpen(let confidentiality):
            "access data cannot be `\(confidentiality.rawValue)`; make it `confidential` or `secret`"
        case .unknownPlan(let name, let suggestion):
            "there is no recovery plan `\(name)`" + (suggestion.map { "; did you mean `\($0)`?" } ?? "")
        case .missingComponent(let component):
            "no policy covers the component `\(component.rawValue)` (\(component.name(in: .english)))"
        case .tooFewApprovers(let count):
            "people.yaml names \(count == 0 ? "nobody" : "one person") with a valid key; approving changes needs two"
        }
    }

    fileprivate var azerbaijani: String {
        switch self {
        case .missing(let demand): demand.azerbaijani
        case .samePerson(let name): "\(name) həm məsul şəxs, həm müavin ola bilməz; başqa şəxs göstərin"
        case .notInOffice(let duty, let name, let term):
            "\(duty == .responsible ? "məsul şəxs" : "müavin") \(name) bu gün səlahiyyətdə deyil"
                + " (\(term.text(in: .azerbaijani))); təyinat edin və ya müddəti uzadın"
        case .duplicateName(let name): "`\(name)` adlı başqa siyasət var; hər ad bir dəfə verilir"
        case .unknownZone(let name): "`\(name)` saat qurşağı yoxdur; `Asia/Baku` kimi ad və ya `UTC` yazın"
        case .neverRuns: "bu cədvəllə icra heç vaxt başlamır; təqvim ifadəsini və pəncərələri yoxlayın"
        case .runsEnd(let last):
            "cədvəl \(InstantText.utc(last * 1_000_000)) icrası ilə bitir; davam edən cədvəl yazın"
        case .rpoOutOfReach(let rpo, let gap, let until):
            "icralar arasında \(gapText(gap, .azerbaijani)) ola bilər (\(InstantText.utc(until * 1_000_000)) vaxtınadək),"
                + " ona görə RPO (\(rpo.text(in: .azerbaijani))) təmin olunmur; tez-tez icra edin və ya RPO-nu artırın"
        case .noVault: "heç bir nüsxənin rolu `vault` deyil; anbarın hansı mərkəzdə olduğunu göstərin"
        case .severalVaults: "`vault` rolu yalnız bir nüsxədə ola bilər; digərləri güzgüdür"
        case .sameSite(let site):
            "iki onlayn nüsxə eyni mərkəzdədir (`\(site)`); güzgü nüsxə başqa mərkəzdə olmalıdır"
        case .sameVolumeSite(let site): "`\(site)` mərkəzindəki daşıyıcılar iki dəfə yazılıb; `count` dəyərini artırın"
        case .noMirror: "heç bir nüsxənin rolu `mirror` deyil; nüsxələr ehtiyat mərkəzdə də saxlanmalıdır"
        case .lagBeyondRPO(let lag, let rpo):
            "güzgü \(lag.text(in: .azerbaijani)) geri qala bilərsə, RPO (\(rpo.text(in: .azerbaijani))) təmin olunmur"
        case .noVolumes:
            "oflayn arxiv istifadə olunur, amma `volume` rollu nüsxə yoxdur; daşıyıcıların yerini göstərin"
        case .unusedVolumes:
            "daşıyıcılar tələb olunur, amma oflayn arxiv istifadə olunmur; onu təsvir edin və ya nüsxəni silin"
        case .moveNeedsSecondCopy: "`mode: move` ilə tək nüsxə qalar; ən azı ikisini göstərin və ya `mode: copy` yazın"
        case .contradictoryTiers(let error): sentence(error.message(in: .azerbaijani), error.hint(in: .azerbaijani))
        case .tierGap(let tier, let before):
            "\(before.name(in: .azerbaijani)) üzrə dövr \(tier.name(in: .azerbaijani)) başlamazdan əvvəl bitir;"
                + " dövrü uzadın və ya daha tez başlayın"
        case .tiersEndBeforeRetention(let term):
            "heç bir saxlanma qurğusu arxivləri saxlanma müddəti (\(term.text(in: .azerbaijani))) qədər saxlamır;"
                + " dövrü uzadın"
        case .tiersOutlastMaximum(let maximum):
            "arxivlər ən uzun müddətdən (\(maximum.text(in: .azerbaijani))) çox saxlanır; dövrü qısaldın"
        case .tooOpen(let confidentiality):
            "giriş məlumatları `\(confidentiality.rawValue)` ola bilməz; `confidential` və ya `secret` yazın"
        case .unknownPlan(let name, let suggestion):
            "`\(name)` bərpa planı yoxdur" + (suggestion.map { "; bəlkə `\($0)`?" } ?? "")
        case .missingComponent(let component):
            "`\(component.rawValue)` komponenti (\(component.name(in: .azerbaijani))) üzrə siyasət yoxdur"
        case .tooFewApprovers(let count):
            "people.yaml faylında qüvvədə olan açarla \(count == 0 ? "heç kim" : "bir nəfər") var;"
                + " dəyişikliyi təsdiq etmək üçün iki nəfər lazımdır"
        }
    }

    /// Message and hint as one line.
    private func sentence(_ message: String, _ hint: String) -> String {
        let hint = hint.hasSuffix(".") ? String(hint.dropLast()) : hint
        return hint.isEmpty ? message : "\(message). \(hint)"
    }

    private func gapText(_ seconds: Int64, _ language: Language) -> String {
        Period.seconds(Int(clamping: seconds)).text(in: language)
    }
}

extension Validity {
    /// `from 2026-01-01`, `until 2027-12-31`, both, or that there is no limit.
    package func text(in language: Language) -> String {
        switch (from, until, language) {
        case (nil, nil, .english): "without limit"
        case (nil, nil, .azerbaijani): "müddətsiz"
        case (let from?, nil, .english): "from \(from)"
        case (let from?, nil, .azerbaijani): "\(from) tarixindən"
        case (nil, let until?, .english): "until \(until)"
        case (nil, let until?, .azerbaijani): "\(until) tarixinədək"
        case (let from?, let until?, .english): "from \(from) until \(until)"
        case (let from?, let until?, .azerbaijani): "\(from) tarixindən \(until) tarixinədək"
        }
    }
}

extension PolicyFinding.Demand {
    fileprivate var english: String {
        switch self {
        case .deputy: "`deputy` is missing: who stands in for the responsible person"
        case .legalBasis: "`legal-basis` is missing: the law, order or contract this archiving rests on"
        case .schedule: "`schedule` is missing: when archives are made"
        case .rpo: "`rpo` is missing: how much time's worth of data may be lost"
        case .rto: "`rto` is missing: how long a recovery may take"
        case .copies: "`copies` is missing: where how many copies are kept"
        case .retention: "`retention` is missing: how long archives are kept"
        case .verification: "`verification` is missing: how often `stored` or `content` is verified"
        case .drill: "`drill` is missing in `verification`: how often recovery is practised"
        case .recoveryPlan: "`recovery-plan` is missing: the plan that recovers from these archives"
        case .tier(let tier):
            "`tiers.\(tier.rawValue)` is missing: format and period in the \(tier.name(in: .english)), or `unused:` with"
                + " the reason"
        }
    }

    fileprivate var azerbaijani: String {
        switch self {
        case .deputy: "`deputy` çatışmır: məsul şəxsi kim əvəz edir"
        case .legalBasis: "`legal-basis` çatışmır: bu arxivləşdirmənin əsaslandığı qanun, əmr və ya müqavilə"
        case .schedule: "`schedule` çatışmır: arxivlər nə vaxt yaradılır"
        case .rpo: "`rpo` çatışmır: ən çoxu hansı müddətin məlumatı itə bilər"
        case .rto: "`rto` çatışmır: bərpa ən çoxu nə qədər çəkə bilər"
        case .copies: "`copies` çatışmır: neçə nüsxə harada saxlanır"
        case .retention: "`retention` çatışmır: arxivlər nə qədər saxlanır"
        case .verification: "`verification` çatışmır: `stored` və ya `content` hansı müddətdən bir yoxlanır"
        case .drill: "`verification` içində `drill` çatışmır: bərpa hansı müddətdən bir sınanır"
        case .recoveryPlan: "`recovery-plan` çatışmır: bu arxivlərdən bərpa edən plan"
        case .tier(let tier):
            "`tiers.\(tier.rawValue)` çatışmır: \(tier.name(in: .azerbaijani)) üzrə saxlanılma formatı və dövrü, yaxud"
                + " səbəbi ilə `unused:`"
        }
    }
}
