/// Where alarms go, and from how loud on.
package struct AlarmChannel: Sendable, Equatable {
    /// A word that is kept in a file of its own, so that it stands in no document and in no list of processes.
    package enum Word: Sendable, Equatable {
        case plain(String)
        case file(String)
    }

    package enum Means: Sendable, Equatable {
        /// `server` is `smtp://` or `smtps://` with a host; `smtp` asks for STARTTLS unless the host is this one.
        case email(server: String, from: String, to: [String], user: String?, password: String?)
        /// JSON by POST.
        case webhook(url: Word, token: String?)
        /// Text by POST with the headers of ntfy.
        case ntfy(url: Word, token: String?)
        /// A program without a shell: the text is its input.
        case command([String])
    }

    package enum Kind: String, Sendable, CaseIterable {
        case email, webhook, ntfy, command
    }

    package static let maximumCount = 32

    package var name: String
    package var means: Means
    package var least: Alarm.Level

    package init(name: String, means: Means, least: Alarm.Level = .notice) {
        self.name = name
        self.means = means
        self.least = least
    }

    /// What went wrong with a channel is told through the others.
    package func takes(_ notice: AlarmNotice) -> Bool {
        notice.alarm.kind.level >= least && notice.alarm != Alarm(.undelivered, name)
    }
}

/// A monitor elsewhere that wants to hear from this daemon, and raises the alarm when it does not.
package struct DeadMan: Sendable, Equatable {
    package var url: AlarmChannel.Word
    /// Seconds.
    package var every: Int64

    package init(url: AlarmChannel.Word, every: Int64) {
        self.url = url
        self.every = every
    }
}

package struct AlarmSettings: Sendable, Equatable {
    package var language: Language
    /// As which host the alarms speak; nil for its own name.
    package var host: String?
    package var channels: [AlarmChannel]
    package var deadMan: DeadMan?

    package init(
        language: Language = .english, host: String? = nil, channels: [AlarmChannel] = [], deadMan: DeadMan? = nil
    ) {
        self.language = language
        self.host = host
        self.channels = channels
        self.deadMan = deadMan
    }

    package static let none = AlarmSettings()
}

extension AlarmChannel {
    /// `https`, or `http` to this host: what leaves the host is encrypted. Only plain characters.
    package static func isSafe(url: String) -> Bool {
        guard url.utf8.count <= 2048, url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x5C })
        else { return false }
        if url.hasPrefix("https://") { return url.utf8.count > 8 }
        guard url.hasPrefix("http://") else { return false }
        return isLocal(url.dropFirst(7))
    }

    /// Whether what follows `scheme://` names this host.
    package static func isLocal(_ rest: some StringProtocol) -> Bool {
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        if authority.contains("@") { return false }
        let host = authority.hasPrefix("[") ? authority.prefix { $0 != "]" } + "]" : authority.prefix { $0 != ":" }
        return ["localhost", "127.0.0.1", "[::1]"].contains(String(host))
    }
}
