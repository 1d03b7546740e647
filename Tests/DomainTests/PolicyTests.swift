import Domain
import Testing

@Suite("Policies and paths as values")
struct PolicyTests {
    @Test("A policy's name is one plain word", arguments: ["config", "a", "web-1.2_x", "2026"])
    func goodName(name: String) {
        #expect(Policy.isWellFormed(name: name))
    }

    @Test(
        "A name that could mean something else is refused",
        arguments: ["", "-x", ".x", "a b", "a:b", "a/b", "ə", String(repeating: "a", count: 65)])
    func badName(name: String) {
        #expect(!Policy.isWellFormed(name: name))
    }

    @Test("All eight components have a term in both languages")
    func components() {
        #expect(Component.allCases.count == 8)
        for component in Component.allCases {
            #expect(component.name(in: .english) != component.name(in: .azerbaijani) || component.rawValue == "media")
        }
    }

    @Test("A path is made absolute by its letters alone")
    func paths() {
        #expect(PathText.absolute("a/../b/./c//", from: "/home/x") == "/home/x/b/c")
        #expect(PathText.absolute("/../..", from: "/x") == "/")
        #expect(PathText.absolute(".", from: "/x/y") == "/x/y")
        #expect(PathText.isAbsolute("/etc") && PathText.isAbsolute("/"))
        #expect(!PathText.isAbsolute("/etc/") && !PathText.isAbsolute("etc") && !PathText.isAbsolute("/a/../b"))
    }

    @Test("The suggestion is near or absent")
    func suggestions() {
        let keys = ["exclude", "exclude-caches", "files", "policy"]
        #expect(Suggestion.nearest(to: "exlude", among: keys) == "exclude")
        #expect(Suggestion.nearest(to: "polciy", among: keys) == "policy")
        #expect(Suggestion.nearest(to: "schedule", among: keys) == nil)
        #expect(Suggestion.nearest(to: String(repeating: "x", count: 65), among: keys) == nil)
        #expect(Suggestion.distance(Array("ab"), Array("ba")) == 1)
        #expect(Suggestion.distance([], Array("abc")) == 3)
    }
}

@Suite("Days, persons and approvals as values")
struct PeopleTests {
    @Test("A day is one that the calendar has, written in one way")
    func days() throws {
        #expect(CivilDay("2024-02-29")?.description == "2024-02-29")
        for bad in ["2023-02-29", "2024-13-01", "2024-00-10", "2024-1-01", "0000-01-01", "2024-01-011", "24-01-01", ""]
        {
            #expect(CivilDay(bad) == nil, "\(bad)")
        }
        #expect(CivilDay(secondsSince1970: 951_782_399).description == "2000-02-28")
        #expect(CivilDay(secondsSince1970: 951_782_400).description == "2000-02-29")
        #expect(CivilDay(secondsSince1970: -1).description == "1969-12-31")
        #expect(CivilDay(secondsSince1970: .min).description == "0001-01-01")
        #expect(CivilDay(secondsSince1970: .max).description == "9999-12-31")
    }

    @Test("A validity covers its first and its last day and no other beyond")
    func validity() throws {
        let validity = Validity(from: CivilDay("2026-01-01"), until: CivilDay("2026-12-31"))
        for (day, isCovered) in [
            ("2025-12-31", false), ("2026-01-01", true), ("2026-12-31", true), ("2027-01-01", false),
        ] {
            #expect(validity.covers(try #require(CivilDay(day))) == isCovered)
        }
        #expect(Validity.always.covers(Sample.day))
        #expect(!Validity(from: CivilDay("2026-02-01"), until: CivilDay("2026-01-01")).isPossible)
    }

    @Test("Nobody shares an id, an account or a key")
    func clashes() throws {
        let made = People.make([
            Sample.person("a", "1", uid: 5), Sample.person("b", "1"), Sample.person("c", nil, uid: 5),
            Sample.person("a", "2"),
        ])
        #expect(made.people == nil)
        #expect(made.clashes.map(\.what) == [.publicKey, .uid(5), .id("a")])
        #expect(made.clashes.map(\.first) == [0, 0, 0])
        let people = try Sample.people([Sample.person("b", nil, uid: 7), Sample.person("a")])
        #expect(people.persons.map(\.id) == ["a", "b"] && people.person(uid: 7)?.id == "b" && people["c"] == nil)
    }

    @Test("A key is 32 bytes that are not all zero")
    func keys() {
        #expect(ApprovalKey(hex: String(repeating: "0", count: 64)) == nil)
        #expect(ApprovalKey(hex: String(repeating: "a", count: 62)) == nil)
        #expect(ApprovalKey(hex: String(repeating: "A", count: 64))?.hex == String(repeating: "a", count: 64))
    }

    @Test("An approval counts only from another person in office, over its own canonical bytes")
    func approvals() throws {
        let past = Validity(until: CivilDay("2026-06-14"))
        let people = try Sample.people([
            Sample.person("a", "a"), Sample.person("b", "b"), Sample.person("c"), Sample.person("d", "d", past),
        ])
        let request = Digest(words: (1, 2, 3, 4))
        func refusal(_ person: String, signs: String? = nil, length: Int = 64) -> Approval.Refusal? {
            let approval = Approval(request: request, person: person, signature: [UInt8](repeating: 1, count: length))
            do {
                try approval.check(author: "a", people: people, on: Sample.day) { key, message, _ in
                    key.hex.hasPrefix("b")
                        && message == Approval.canonicalBytes(request: request, person: signs ?? person)
                }
                return nil
            } catch {
                return error
            }
        }
        #expect(refusal("b") == nil)
        #expect(refusal("a") == .selfApproval)
        #expect(refusal("c") == .noKey)
        #expect(refusal("d") == .notInOffice)
        #expect(refusal("e") == .unknownPerson)
        #expect(refusal("b", signs: "c") == .badSignature)
        #expect(refusal("b", length: 63) == .badSignature)
        for refusal in Approval.Refusal.allCases {
            #expect(refusal.text(in: .english) != refusal.text(in: .azerbaijani))
        }
    }

    @Test("Canonical bytes are laid down for good")
    func canonicalBytes() {
        let digest = Digest(words: (0, 0, 0, 0x0102))
        let expected = Hex.encode(Array("qala approval 1\u{0}".utf8)) + digest.hex + "0000000000000003" + "616263"
        #expect(Hex.encode(Approval.canonicalBytes(request: digest, person: "abc")) == expected)
        let request = PolicyRequest(base: .zero, proposed: digest, author: "ə", reason: "", time: -1)
        let bytes =
            Hex.encode(Array("qala policy request 1\u{0}".utf8)) + Digest.zero.hex + digest.hex + "ffffffffffffffff"
            + "0000000000000002" + "c999" + "0000000000000000"
        #expect(Hex.encode(request.canonicalBytes) == bytes)
    }
}
