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
