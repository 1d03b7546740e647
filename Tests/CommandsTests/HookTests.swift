import Foundation
import Testing

@Suite("Hooks of a policy", .enabled(if: qalaBinary != nil))
struct HookTests {
    /// Runs a policy with these hooks, given as lines of YAML.
    private func run(_ world: World, _ hooks: String) throws -> Finished {
        let policy = """
            policy: hooked
            component: config
            responsible: {name: A}
            confidentiality: internal
            sources:
              - files: \(world.path("tree"))
            hooks:
            \(hooks)
            """
        try world.write("hooked.yaml", policy)
        return try world.qala("run", world.path("hooked.yaml"), "--json")
    }

    private func script(_ world: World, _ name: String, _ text: String) throws -> String {
        try world.write(name, "#!/bin/sh\n\(text)\n")
        chmod(world.path(name), 0o755)
        return world.path(name)
    }

    @Test("They run in order around the run, know the policy and the outcome, and have no secrets in sight")
    func order() throws {
        let world = try World()
        defer { world.remove() }
        try world.write("tree/a", "a\n")
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        let hook = try script(
            world, "hook", "echo \"$1 $QALA_POLICY $QALA_OUTCOME $QALA_PASSPHRASE_FILE.\" >> \(world.path("log"))")
        let finished = try run(
            world,
            """
              before:
                - run: [\(hook), one]
                - run: [\(hook), two]
              after:
                - run: [\(hook), three]
            """)
        #expect(finished.status == 0, "\(finished.errorText)")
        let log = try String(contentsOf: world.url("log"), encoding: .utf8)
        #expect(log == "one hooked  .\ntwo hooked  .\nthree hooked done .\n")
    }

    @Test(
        "One before the run that fails, hangs or is not there ends it, and nothing is archived; those after still run")
    func failures() throws {
        let world = try World()
        defer { world.remove() }
        try world.write("tree/a", "a\n")
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        let after = try script(world, "after", "echo $QALA_OUTCOME >> \(world.path("log"))")
        let bad = try script(world, "bad", "echo the database is locked >&2; exit 3")
        let slow = try script(world, "slow", "sleep 60 & sleep 60")
        for (hook, message) in [
            ("run: [\(bad)]", "ended with 3: the database is locked"),
            ("run: [\(slow)]\n      timeout: 1 second", "took longer than"),
            ("run: [\(world.path("nothing"))]", "cannot be started"),
        ] {
            let finished = try run(world, "  before:\n    - \(hook)\n  after:\n    - run: [\(after)]")
            #expect(finished.status == 1 && finished.errorText.contains(message), "\(finished.errorText)")
        }
        #expect(try world.archives().isEmpty)
        #expect(try String(contentsOf: world.url("log"), encoding: .utf8) == "failed\nfailed\nfailed\n")
        let late = try run(world, "  after:\n    - run: [\(bad)]")
        #expect(late.status == 3 && late.outputText.contains("the database is locked"), "\(late.errorText)")
        #expect(try world.archives().count == 1)
    }

    @Test("A hook has its three descriptors and no other, whatever Qala was given by who started it")
    func descriptors() throws {
        let world = try World()
        defer { world.remove() }
        try world.write("tree/a", "a\n")
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        let hook = try script(world, "hook", "ls /proc/self/fd > \(world.path("log"))")
        let policy = """
            policy: hooked
            component: config
            responsible: {name: A}
            confidentiality: internal
            sources:
              - files: \(world.path("tree"))
            hooks:
              before:
                - run: [\(hook)]
            """
        try world.write("hooked.yaml", policy)
        let shell = "exec 7<passphrase 8<kit.txt; exec \(try #require(qalaBinary)) run hooked.yaml"
        let finished = try ProcessRunner.run(
            "/bin/sh", ["-c", shell],
            environment: [
                "HOME": world.folder.path, "PATH": "/usr/bin:/bin", "QALA_VAULT": world.path("vault"),
                "QALA_STATE": world.path("state"), "QALA_PASSPHRASE_FILE": "fd:7",
            ], in: world.folder)
        #expect(finished.status == 0, "\(finished.errorText)")
        // The last one is the folder that `ls` reads.
        #expect(try String(contentsOf: world.url("log"), encoding: .utf8) == "0\n1\n2\n3\n")
    }
}
