/// Where things are when nobody says where.
package enum Places {
    package static func vault(isRoot: Bool, _ environment: (String) -> String?) -> String {
        if isRoot { return "/var/lib/qala/vault" }
        return base(environment("XDG_DATA_HOME"), else: ".local/share", environment) + "/qala/vault"
    }

    package static func state(isRoot: Bool, _ environment: (String) -> String?) -> String {
        if isRoot { return "/var/lib/qala/state" }
        return base(environment("XDG_STATE_HOME"), else: ".local/state", environment) + "/qala"
    }

    /// Where the daemon listens.
    package static func socket(isRoot: Bool, _ environment: (String) -> String?) -> String {
        if isRoot { return "/run/qala/control.sock" }
        return base(environment("XDG_RUNTIME_DIR"), else: ".local/run", environment) + "/qala/control.sock"
    }

    package static let policies = "/etc/qala/policies"
    package static let alarms = "/etc/qala/alarms.yaml"

    /// A relative XDG path counts as not set, as its specification wants.
    private static func base(_ set: String?, else usual: String, _ environment: (String) -> String?) -> String {
        if let set, set.hasPrefix("/") { return set }
        return (environment("HOME") ?? "/") + "/" + usual
    }
}

/// The version of the product; the vault has a format version of its own.
package enum Version {
    package static let text = "0.1.0"
}
