// A second person's consent to a change.
//
// 1. What is signed names its purpose, the request and the person, so that a signature is worth nothing for another
//    request, for another person or in another protocol.
// 2. Whoever asked for a change does not approve it; whoever is not in office on the day does not either.
// 3. Cryptography is done outside: a closure says whether a signature holds.

/// What somebody wants to change about the policies, as those who approve it sign it.
package struct PolicyRequest: Sendable, Equatable {
    /// Digests of the canonical bytes of the whole sets before and after.
    package var base: Digest
    package var proposed: Digest
    /// The id of the author in the register of persons.
    package var author: String
    package var reason: String
    /// Seconds since 1970.
    package var time: Int64

    package init(base: Digest, proposed: Digest, author: String, reason: String, time: Int64) {
        self.base = base
        self.proposed = proposed
        self.author = author
        self.reason = reason
        self.time = time
    }

    /// The bytes whose SHA-256 digest is the request's: a mark, both digests, the time as eight bytes and then author
    /// and reason, each after its length as eight bytes; numbers big-endian.
    package var canonicalBytes: [UInt8] {
        var bytes = Array("qala policy request 1\u{0}".utf8)
        bytes += base.bytes
        bytes += proposed.bytes
        bytes += SignedBytes.number(time)
        for text in [author, reason] { bytes += SignedBytes.text(text) }
        return bytes
    }
}

/// A person's signed consent to the request with a digest.
package struct Approval: Sendable, Equatable {
    /// Of an Ed25519 signature.
    package static let signatureByteCount = 64

    package enum Refusal: String, Error, Sendable, CaseIterable {
        case selfApproval, unknownPerson, notInOffice, noKey, badSignature
    }

    package var request: Digest
    /// The id in the register of persons.
    package var person: String
    package var signature: [UInt8]

    package init(request: Digest, person: String, signature: [UInt8]) {
        self.request = request
        self.person = person
        self.signature = signature
    }

    /// What the person signs: a mark, the digest and the id after its length as eight big-endian bytes.
    package var canonicalBytes: [UInt8] { Self.canonicalBytes(request: request, person: person) }

    package static func canonicalBytes(request: Digest, person: String) -> [UInt8] {
        Array("qala approval 1\u{0}".utf8) + request.bytes + SignedBytes.text(person)
    }

    /// Returns when this approval counts for a request of `author` on `day`; throws the first reason why it does not.
    ///
    /// `isValid` gets the public key, the message and the signature, which has the right length by then.
    package func check(
        author: String, people: People, on day: CivilDay,
        isValid: (_ key: ApprovalKey, _ message: [UInt8], _ signature: [UInt8]) -> Bool
    ) throws(Refusal) {
        if person == author { throw .selfApproval }
        guard let approver = people[person] else { throw .unknownPerson }
        guard approver.validity?.covers(day) ?? true else { throw .notInOffice }
        guard let key = approver.publicKey else { throw .noKey }
        guard signature.count == Self.signatureByteCount, isValid(key, canonicalBytes, signature) else {
            throw .badSignature
        }
    }
}

/// The author's own signature over the request with a digest: whoever carries it out cannot name another one.
package struct Authorship: Sendable, Equatable {
    package var request: Digest
    /// The id in the register of persons.
    package var author: String
    package var signature: [UInt8]

    package init(request: Digest, author: String, signature: [UInt8]) {
        self.request = request
        self.author = author
        self.signature = signature
    }

    /// What the author signs: like an approval, under a mark of its own.
    package static func canonicalBytes(request: Digest, author: String) -> [UInt8] {
        Array("qala author 1\u{0}".utf8) + request.bytes + SignedBytes.text(author)
    }

    /// Returns when the author is in office on `day` and signed this; throws the first reason why not.
    package func check(
        people: People, on day: CivilDay,
        isValid: (_ key: ApprovalKey, _ message: [UInt8], _ signature: [UInt8]) -> Bool
    ) throws(Approval.Refusal) {
        guard let person = people[author] else { throw .unknownPerson }
        guard person.validity?.covers(day) ?? true else { throw .notInOffice }
        guard let key = person.publicKey else { throw .noKey }
        guard signature.count == Approval.signatureByteCount,
            isValid(key, Self.canonicalBytes(request: request, author: author), signature)
        else { throw .badSignature }
    }
}

/// Parts of what people sign: numbers as eight bytes, big-endian, and texts after their length.
enum SignedBytes {
    static func text(_ text: String) -> [UInt8] { number(Int64(text.utf8.count)) + Array(text.utf8) }

    static func number(_ value: Int64) -> [UInt8] {
        let bits = UInt64(bitPattern: value)
        return stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: bits >> UInt64($0)) }
    }
}

extension Approval.Refusal {
    package func text(in language: Language) -> String {
        switch (self, language) {
        case (.selfApproval, .english): "whoever asks for a change cannot approve it"
        case (.selfApproval, .azerbaijani): "dəyişikliyi istəyən şəxs onu özü təsdiq edə bilməz"
        case (.unknownPerson, .english): "this person is not in people.yaml"
        case (.unknownPerson, .azerbaijani): "bu şəxs people.yaml faylında yoxdur"
        case (.notInOffice, .english): "this person is not in office on this day"
        case (.notInOffice, .azerbaijani): "bu şəxsin səlahiyyəti həmin gün qüvvədə deyil"
        case (.noKey, .english): "people.yaml holds no public key of this person"
        case (.noKey, .azerbaijani): "bu şəxsin açıq açarı people.yaml faylında yoxdur"
        case (.badSignature, .english): "the signature does not belong to this request and this person"
        case (.badSignature, .azerbaijani): "imza bu sorğuya və bu şəxsə aid deyil"
        }
    }
}
