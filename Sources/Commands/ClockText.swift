package import Domain

/// What the commands about vault time say to people, like ``Text`` in both languages.
package enum ClockText: CaseIterable, Sendable {
    case trusted, frozen, notKept, requested, confirmed, dry, next, compare
    case vaultTime, machine, difference, boot, proposed

    package func callAsFunction(_ language: Language, _ arguments: [String] = []) -> String {
        Text.filled(language == .azerbaijani ? both.az : both.en, arguments)
    }

    package var both: (en: String, az: String) {
        switch self {
        case .trusted: ("Vault time is trusted.", "Anbar vaxtı etibarlıdır.")
        case .frozen:
            (
                "Vault time is not trusted: nothing expires until two persons run `qala clock confirm`.",
                "Anbar vaxtı etibarlı deyil: iki şəxs `qala clock confirm` əmri ilə təsdiq edənədək heç bir arxivin müddəti bitmir."
            )
        case .notKept: ("No vault time is kept yet.", "Anbar vaxtı hələ aparılmır.")
        case .requested:
            ("The request is in %1; nothing is confirmed yet.", "Sorğu %1 faylındadır; hələ heç nə təsdiqlənməyib.")
        case .confirmed: ("Vault time is trusted again: %2.", "Anbar vaxtı yenidən etibarlıdır: %2.")
        case .dry: ("Dry run: this would be confirmed.", "Sınaq: bu, təsdiqlənərdi.")
        case .next:
            (
                "Next, a second person on this host: `qala clock confirm --approve %1 --person ID --signing-key FILE`.",
                "Növbəti addım, bu hostda ikinci şəxs: `qala clock confirm --approve %1 --person ID --signing-key FAYL`."
            )
        case .compare:
            (
                "Compare the proposed time with a clock that is not of this machine.",
                "Təklif olunan vaxtı bu maşına aid olmayan saatla müqayisə edin."
            )
        case .vaultTime: ("Vault time", "Anbar vaxtı")
        case .machine: ("Clock of the machine", "Maşının saatı")
        case .difference: ("The clock is ahead by", "Saat irəlidədir")
        case .boot: ("Boot", "Yüklənmə")
        case .proposed: ("Proposed time", "Təklif olunan vaxt")
        }
    }
}
