// What an account of the host may ask of the daemon.
//
// 1. Root and the daemon's own account may ask everything: what the daemon keeps is open to them anyway.
// 2. Any other account is the person with that `uid` in the register of persons in force, and nobody else. A person who is
//    not in office today may ask nothing.
// 3. Who answers for a policy, or stands in, by their id and today, may have runs made and ended. A name alone is no proof.

/// What a question to the daemon takes.
package enum Right: String, Sendable, CaseIterable {
    /// To be told what is: status, runs, events, alarms, registers, the audit log.
    case read
    /// To have runs made, cancelled and paused, to send a trial of alarms, to add a remark.
    case control
    /// To have policies and alarms read again.
    case administer
}

/// As what an account is known to the daemon.
package enum Role: String, Sendable, CaseIterable, Codable {
    /// Root, or the account of the daemon.
    case administrator
    /// Responsible for a policy in force, or its deputy.
    case archivist
    /// Any other person of the register.
    case auditor

    /// What the kernel tells of an account that it cannot name here; it stands for many.
    package static let unnamedAccount: UInt32 = 65_534

    package func has(_ right: Right) -> Bool {
        switch right {
        case .read: true
        case .control: self != .auditor
        case .administer: self == .administrator
        }
    }
}

extension PolicySet {
    /// As what `person`, one of the register, is known on `day`; nil for somebody who is not in office.
    package func role(of person: Person, on day: CivilDay) -> Role? {
        guard person.validity?.covers(day) ?? true else { return nil }
        let answersForOne = policies.contains { policy in
            [(Optional(policy.responsiblePerson), policy.responsibleTerm), (policy.deputyPerson, policy.deputyTerm)]
                .contains { named, term in named?.id != nil && named?.id == person.id && term.covers(day) }
        }
        return answersForOne ? .archivist : .auditor
    }

    /// The person by whom `account` is known.
    package func person(of account: UInt32) -> Person? {
        account == Role.unnamedAccount ? nil : people.person(uid: account)
    }
}
