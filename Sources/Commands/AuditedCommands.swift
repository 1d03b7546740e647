import API
import Domain
import Operations

// What each command is called in the audit log, and what is told of it: never a secret, and not the reason of a decision,
// which is sealed to the readers of the vault.

func flag(_ name: String, _ isSet: Bool) -> ActDetail? { isSet ? ActDetail(name, "yes") : nil }

/// Nil where there is no value.
func detail(_ name: String, _ value: String?) -> ActDetail? { value.map { ActDetail(name, $0) } }

extension Init: AuditedCommand {
    var act: CommandAct? {
        CommandAct(.creation, "vault.create", "", [flag("write-only-host", writeOnlyHost), detail("kit", kit)])
    }
}

extension Archive: AuditedCommand {
    var act: CommandAct? {
        CommandAct(
            dryRun ? .read : .deed, "archive.create", paths.joined(separator: " "), [flag("dry-run", dryRun)])
    }
}

extension Run: AuditedCommand {
    /// The daemon records what it is asked for.
    var act: CommandAct? {
        let isFile = policy.hasSuffix(".yaml") || policy.hasSuffix(".yml") || !Policy.isWellFormed(name: policy)
        guard isFile else { return nil }
        var act = CommandAct(dryRun ? .read : .deed, "archive.create", policy, [flag("dry-run", dryRun)])
        act.isVaultKnown = common.vault != nil
        return act
    }
}

extension Archives: AuditedCommand {
    var act: CommandAct? {
        CommandAct(.read, "archive.list", "", [detail("policy", policy), flag("disposed", disposed)])
    }
}

extension Ls: AuditedCommand {
    var act: CommandAct? { CommandAct(.read, "archive.browse", archive, [flag("recursive", recursive)]) }
}

extension Cat: AuditedCommand {
    var act: CommandAct? { CommandAct(.deed, "archive.read", file) }
}

extension Find: AuditedCommand {
    var act: CommandAct? {
        CommandAct(.read, "archive.search", text, [detail("path", path), flag("all-versions", allVersions)])
    }
}

extension History: AuditedCommand {
    var act: CommandAct? { CommandAct(.read, "archive.history", path) }
}

extension Diff: AuditedCommand {
    var act: CommandAct? { CommandAct(.read, "archive.compare", "\(first) \(second)") }
}

extension Restore: AuditedCommand {
    var act: CommandAct? {
        CommandAct(
            dryRun ? .read : .deed, "archive.restore", archive,
            [
                paths.isEmpty ? nil : ActDetail("paths", paths.joined(separator: " ")), detail("to", to),
                flag("in-place", inPlace), flag("dry-run", dryRun), ActDetail("conflict", conflict.rawValue),
                detail("cluster", cluster), flag("delta", delta), detail("target", recovery.named.first?.value),
                detail("server", server),
            ])
    }
}

extension SourceDiscover: AuditedCommand {
    var act: CommandAct? {
        CommandAct(
            .read, "source.discover", "",
            [
                path.isEmpty ? nil : ActDetail("paths", path.joined(separator: " ")), detail("policies", policies),
                flag("draft", draft),
            ])
    }
}

extension WALPush: AuditedCommand {
    /// Every segment is a line of the spool's ledger.
    var act: CommandAct? { nil }
}

extension WALFetch: AuditedCommand {
    var act: CommandAct? { nil }
}

extension WALStatusCommand: AuditedCommand {
    var act: CommandAct? { CommandAct(.read, "wal.status", source ?? "") }
}

extension Verify: AuditedCommand {
    var act: CommandAct? {
        CommandAct(
            .read, "vault.verify", "",
            [
                flag("read-data", readData), detail("sample", sample), flag("without-keys", withoutKeys),
                detail("head", head),
            ])
    }
}

extension Dispose: AuditedCommand {
    var act: CommandAct? {
        CommandAct(
            persons.dryRun ? .read : .change, "archive.dispose",
            persons.approve ?? archives.joined(separator: " "),
            [
                flag("expired", expired), flag("online-copies", onlineCopies), flag("before-period", beforePeriod),
                detail("policy", policy),
            ] + persons.details)
    }
}

extension TwoPersonOptions {
    fileprivate var details: [ActDetail?] {
        [
            ActDetail("step", approve == nil ? "request" : "approve"), detail("file", approve ?? request),
            flag("dry-run", dryRun),
        ]
    }
}

extension HoldAdd: AuditedCommand {
    var act: CommandAct? {
        CommandAct(
            .change, "hold.add", archives.joined(separator: " "),
            [detail("policy", policy), flag("all", all), flag("basis-given", reason.basis != nil)])
    }
}

extension HoldList: AuditedCommand {
    var act: CommandAct? { CommandAct(.read, "hold.list") }
}

extension HoldRelease: AuditedCommand {
    var act: CommandAct? {
        CommandAct(
            persons.dryRun ? .read : .change, "hold.release", persons.approve ?? hold ?? "", persons.details)
    }
}

extension Sweep: AuditedCommand {
    var act: CommandAct? {
        CommandAct(
            dryRun ? .read : .change, "vault.sweep", "",
            [fence.isEmpty ? nil : ActDetail("fence", fence.joined(separator: " ")), flag("dry-run", dryRun)])
    }
}

extension KeyAdd: AuditedCommand {
    var act: CommandAct? {
        CommandAct(
            .change, "key.add", label,
            [ActDetail("form", form.rawValue), detail("to", to), flag("administrator", administrator)])
    }
}

extension KeyRemove: AuditedCommand {
    var act: CommandAct? { CommandAct(.change, "key.remove", id) }
}

extension KeyList: AuditedCommand {
    var act: CommandAct? { CommandAct(.read, "key.list") }
}

extension KeyRotate: AuditedCommand {
    var act: CommandAct? { CommandAct(.change, "key.rotate") }
}

extension KeyKit: AuditedCommand {
    var act: CommandAct? { CommandAct(.change, "key.kit", "", [detail("to", to)]) }
}

extension KeyTest: AuditedCommand {
    var act: CommandAct? { CommandAct(.deed, "key.test") }
}

extension KeyEnrolHost: AuditedCommand {
    var act: CommandAct? { CommandAct(.change, "key.enrol-host", label) }
}

extension VaultStatsCommand: AuditedCommand {
    var act: CommandAct? { CommandAct(.read, "vault.stats") }
}

extension RebuildIndex: AuditedCommand {
    var act: CommandAct? { CommandAct(.deed, "vault.rebuild-index") }
}

extension RebuildCatalog: AuditedCommand {
    var act: CommandAct? { CommandAct(.deed, "vault.rebuild-catalog") }
}

// MARK: Policies

extension PolicyPlanning: AuditedCommand {
    var act: CommandAct? { CommandAct(.read, "policy.plan", folder) }
}

extension PolicyApplying: AuditedCommand {
    /// The reason stands in the version.
    var act: CommandAct? {
        CommandAct(
            dryRun ? .read : .change, "policy.apply", folder ?? request ?? "",
            [
                detail("author", author), detail("roll-back", rollBack.map { "\($0)" }), detail("request", request),
                approval.isEmpty ? nil : ActDetail("approvals", approval.joined(separator: " ")),
                flag("dry-run", dryRun),
            ])
    }
}

extension PolicyApproving: AuditedCommand {
    var act: CommandAct? {
        CommandAct(
            dryRun ? .read : .deed, "policy.approve", request, [ActDetail("person", person), flag("dry-run", dryRun)])
    }
}

extension PolicySimulating: AuditedCommand {
    var act: CommandAct? { CommandAct(.read, "policy.simulate", until) }
}

// MARK: Volumes

extension VolumeCreate: AuditedCommand {
    var act: CommandAct? { CommandAct(.deed, "volume.create", directory, [ActDetail("shelf", shelf)]) }
}

extension VolumeWrite: AuditedCommand {
    var act: CommandAct? {
        CommandAct(
            dryRun ? .read : .deed, "volume.write", directory,
            [ActDetail("wanted", archives.joined(separator: " ")), flag("dry-run", dryRun)])
    }
}

extension VolumeVerify: AuditedCommand {
    var act: CommandAct? { CommandAct(.read, "volume.verify", directory, [flag("with-secret", secret != nil)]) }
}

extension VolumeInventory: AuditedCommand {
    var act: CommandAct? { CommandAct(.read, "volume.inventory", volume, [detail("path", path)]) }
}

extension VolumeCheckout: AuditedCommand {
    var act: CommandAct? { CommandAct(.deed, "volume.checkout", volume, [ActDetail("to", to)]) }
}

extension VolumeCheckin: AuditedCommand {
    var act: CommandAct? { CommandAct(.deed, "volume.checkin", volume, [ActDetail("shelf", shelf)]) }
}

extension VolumeDestroy: AuditedCommand {
    var act: CommandAct? {
        CommandAct(
            dryRun ? .read : .change, "volume.destroy", volume, [ActDetail("reason", reason), flag("dry-run", dryRun)])
    }
}

extension VolumeLost: AuditedCommand {
    /// No `change`: what happened is recorded in any case.
    var act: CommandAct? {
        CommandAct(
            dryRun ? .read : .deed, "volume.lost", volume, [ActDetail("reason", reason), flag("dry-run", dryRun)])
    }
}

extension VolumePullList: AuditedCommand {
    var act: CommandAct? {
        CommandAct(
            .read, "volume.pull-list", archive,
            [paths.isEmpty ? nil : ActDetail("paths", paths.joined(separator: " "))])
    }
}

extension VolumeRestore: AuditedCommand {
    var act: CommandAct? {
        CommandAct(
            dryRun ? .read : .deed, "volume.restore", directory,
            [
                ActDetail("archive", archive), ActDetail("to", to),
                paths.isEmpty ? nil : ActDetail("paths", paths.joined(separator: " ")), flag("dry-run", dryRun),
            ])
    }
}

extension VolumeSecret: AuditedCommand {
    var act: CommandAct? { CommandAct(.deed, "volume.secret", directory, [ActDetail("to", to)]) }
}

// MARK: Registers

extension Reconcile: AuditedCommand {
    var act: CommandAct? {
        CommandAct(
            repair && !dryRun ? .deed : .read, "register.reconcile", "",
            [flag("repair", repair), flag("dry-run", dryRun)])
    }
}

extension ProblemRemark: AuditedCommand {
    var act: CommandAct? {
        var act = CommandAct(dryRun ? .read : .deed, "problem.remark", "\(id)", [flag("dry-run", dryRun)])
        act.isAskedOfDaemon = true
        return act
    }
}

extension Tiers: AuditedCommand {
    var act: CommandAct? { CommandAct(.read, "archive.tiers", "", [detail("policy", policy), flag("due", due)]) }
}

extension ClockShow: AuditedCommand {
    var act: CommandAct? { CommandAct(.read, "clock.show") }
}

extension ClockConfirm: AuditedCommand {
    var act: CommandAct? {
        CommandAct(
            dryRun ? .read : .change, "clock.confirm", approve ?? request ?? "",
            [
                ActDetail("step", approve == nil ? "request" : "approve"), detail("person", person),
                flag("dry-run", dryRun),
            ])
    }
}

extension Move: AuditedCommand {
    var act: CommandAct? {
        var act = CommandAct(dryRun ? .read : .change, "archive.move", policy, [flag("dry-run", dryRun)])
        // The policy in force says which vault it is.
        act.isVaultKnown = common.vault != nil
        return act
    }
}

extension RegisterList: AuditedCommand {
    var act: CommandAct? { CommandAct(.read, "register.list", Place.name.rawValue) }
}

extension RegisterShow: AuditedCommand {
    var act: CommandAct? { CommandAct(.read, "register.show", Place.name.rawValue, [ActDetail("row", id)]) }
}

extension RegisterExporting: AuditedCommand {
    var act: CommandAct? { CommandAct(.read, "register.export", Place.name.rawValue, [detail("to", to)]) }
}

// MARK: Logs

extension LogSegmentList: AuditedCommand {
    var act: CommandAct? { CommandAct(.read, "log.list", "", [detail("policy", policy)]) }
}

extension LogSegmentVerify: AuditedCommand {
    var act: CommandAct? { CommandAct(.read, "log.verify", "", [detail("policy", policy)]) }
}
