/// A language that Qala speaks to people. Machine output (`--json`, exit codes, stored bytes) does not depend on it.
package enum Language: String, Sendable, CaseIterable {
    case english = "en"
    case azerbaijani = "az"

    /// The mark between the whole and the fraction of a number.
    package var decimalMark: Character {
        switch self {
        case .english: "."
        case .azerbaijani: ","
        }
    }

    /// The language of a locale name such as `az_AZ.UTF-8`; nil for one that Qala does not speak, `C` and `POSIX`.
    package init?(locale: some StringProtocol) {
        let tag = locale.prefix { $0 != "_" && $0 != "." && $0 != "@" && $0 != "-" }.lowercased()
        self.init(rawValue: tag)
    }

    /// The language that the environment asks for: `QALA_LANGUAGE`, then the locale in the order of POSIX.
    ///
    /// The first locale variable that is set decides, even when Qala does not speak its language: English stands in.
    package static func chosen(by environment: (String) -> String?) -> Language {
        for name in ["QALA_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"] {
            if let value = environment(name), !value.isEmpty { return Language(locale: value) ?? .english }
        }
        return .english
    }
}
