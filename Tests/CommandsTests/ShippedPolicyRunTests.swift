import Foundation
import Glibc
import Testing

@Suite("The shipped policies on this machine", .enabled(if: qalaBinary != nil))
struct ShippedPolicyRunTests {
    /// What each of them finds on every Debian, to be compared after a restore.
    private static let known: [(policy: String, file: String)] = [
        ("access-data", "/etc/passwd"), ("config", "/etc/debian_version"), ("database", "/var/lib/dpkg/status"),
        ("documentation", "/usr/share/doc/bash/copyright"), ("log", "/var/log/dpkg.log"),
        ("media", "/usr/share/pixmaps/debian-logo.png"), ("problem-register", ""), ("software", "/usr/sbin/chroot"),
    ]

    /// Copies of all of them. Other than shipped is only what would take minutes, and the place of the registers.
    private func copyPolicies(to world: World, registers: String) throws {
        try FileManager.default.copyItem(
            at: Repository.root.appending(path: "Policies"), to: world.url("policies"))
        func change(_ policy: String, _ from: String, _ to: String) throws {
            let file = world.url("policies/\(policy).yaml")
            let text = try String(contentsOf: file, encoding: .utf8)
            try #require(text.contains(from), "\(policy): \(from)")
            try text.replacing(from, with: to).write(to: file, atomically: true, encoding: .utf8)
        }
        try change("problem-register", "/var/lib/qala/problems", registers)
        try change("software", "      - /usr/bin\n", "")
        try change("software", "      - /usr/lib\n      - /usr/local\n      - /opt\n", "")
    }

    @Test("All eight archive what they name, and it comes back byte for byte")
    func all() throws {
        let world = try World()
        defer { world.remove() }
        // The register of problems of this host, as a failed run leaves it.
        try world.write("registers/problems.1.jsonl", #"{"kind":"failed"}"# + "\n")
        try copyPolicies(to: world, registers: world.path("registers"))
        #expect(try world.qala("policy", "validate", "policies").status == 0)
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        var compared = 0
        for (policy, file) in Self.known {
            let run = try world.qala("run", "policies/\(policy).yaml", "--json")
            // 3: other accounts' files, where this one is not root, and files that change meanwhile.
            #expect(run.status == 0 || run.status == 3, "\(policy): \(run.errorText)")
            let wanted = file.isEmpty ? world.path("registers/problems.1.jsonl") : file
            guard FileManager.default.fileExists(atPath: wanted) else { continue }
            let target = world.path("back/\(policy)")
            let restored = try world.qala(["restore", "latest:\(policy)", wanted, "--to", target] + World.byKit)
            #expect(restored.status == 0 || geteuid() != 0 && restored.status == 3, "\(policy): \(restored.errorText)")
            let same = FileManager.default.contentsEqual(
                atPath: URL(filePath: wanted).resolvingSymlinksInPath().path,
                andPath: target + URL(filePath: wanted).resolvingSymlinksInPath().path)
            #expect(same, "\(policy): \(wanted)")
            compared += 1
        }
        #expect(compared >= 6)
        let archives = try #require(
            try World.object(try world.qala("archives", "--json"))["archives"] as? [[String: Any]])
        #expect(Set(archives.compactMap { $0["policy"] as? String }) == Set(Self.known.map(\.policy)))
        for archive in archives { #expect((archive["entries"] as? Int ?? 0) > 0, "\(archive)") }
        let verified = try world.qala(["verify", "--read-data"] + World.byKit)
        #expect(verified.status == 0, "\(verified.errorText)")
    }
}
