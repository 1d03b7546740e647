package import Domain

/// What an archive is disposed of on.
package enum DisposalBasis: Sendable, Equatable {
    case twoPersons(ActApproval)
    /// Digest of the applied policy whose retention has ended.
    case policy(Digest)
}

/// The signature of the administrator who asked for what another one carries out.
package struct ActApproval: Sendable, Equatable {
    package var requester: Digest
    package var signature: [UInt8]

    package init(requester: Digest, signature: [UInt8]) {
        self.requester = requester
        self.signature = signature
    }
}

package struct Disposal: Sendable, Equatable {
    package var archives: [Digest]
    package var note: ObjectReference
    package var basis: DisposalBasis
}

/// Forbids to dispose of archives.
package struct HoldRecord: Sendable, Equatable {
    package var id: Digest
    /// Empty: every archive, also future ones.
    package var archives: [Digest]
    package var note: ObjectReference
}

package struct ReleaseRecord: Sendable, Equatable {
    package var hold: Digest
    package var note: ObjectReference
    package var approval: ActApproval
}

/// A hold as the log tells it.
package struct LoggedHold: Sendable {
    package var record: HoldRecord
    package var number: UInt64
    package var time: UInt64
    package var release: (number: UInt64, time: UInt64, record: ReleaseRecord)?

    package var isInForce: Bool { release == nil }
    package func covers(_ archive: Digest) -> Bool { record.archives.isEmpty || record.archives.contains(archive) }
}

/// What one administrator asks for and another one carries out: an act that nobody may do alone.
package struct ActRequest: Sendable, Equatable {
    package enum Kind: UInt8, Sendable, CaseIterable {
        case dispose = 10
        case release = 12
    }

    package var kind: Kind
    package var vaultID: Digest
    /// Archives, or the one hold.
    package var subjects: [Digest]
    package var note: ObjectReference
    package var approval: ActApproval

    package init(kind: Kind, vaultID: Digest, subjects: [Digest], note: ObjectReference, approval: ActApproval) {
        self.kind = kind
        self.vaultID = vaultID
        self.subjects = subjects
        self.note = note
        self.approval = approval
    }

    /// What the requester signs.
    static func message(
        _ kind: Kind, _ vaultID: Digest, _ subjects: [Digest], _ note: ObjectReference
    ) -> [UInt8] {
        var writer = ByteWriter()
        writer.raw(Array("qala/v1/act".utf8))
        writer.digest(vaultID)
        writer.u8(kind.rawValue)
        writer.varint(UInt64(subjects.count))
        for id in subjects { writer.digest(id) }
        writer.reference(note)
        return writer.bytes
    }
}

extension ByteWriter {
    mutating func approval(_ value: ActApproval) {
        digest(value.requester)
        raw(value.signature)
    }

    mutating func digests(_ list: [Digest]) {
        varint(UInt64(list.count))
        for id in list { digest(id) }
    }

    mutating func disposal(_ value: Disposal) {
        digests(value.archives)
        reference(value.note)
        switch value.basis {
        case .twoPersons(let given):
            u8(1)
            approval(given)
        case .policy(let policy):
            u8(2)
            digest(policy)
        }
    }
}

extension ByteReader {
    mutating func approval() throws(VaultError) -> ActApproval {
        ActApproval(requester: try digest(), signature: try array(SigningKey.signatureBytes))
    }

    /// Each id once.
    mutating func digests(atLeast least: Int) throws(VaultError) -> [Digest] {
        var list: [Digest] = []
        for _ in 0..<(try varint(upTo: LogBody.listLimit)) { list.append(try digest()) }
        guard list.count >= least, Set(list).count == list.count else {
            throw malformed("its list is empty or repeats itself")
        }
        return list
    }

    mutating func disposal() throws(VaultError) -> Disposal {
        let archives = try digests(atLeast: 1)
        let note = try reference()
        switch try u8() {
        case 1: return Disposal(archives: archives, note: note, basis: .twoPersons(try approval()))
        case 2: return Disposal(archives: archives, note: note, basis: .policy(try digest()))
        default: throw malformed("its basis is unknown")
        }
    }
}
