import Foundation
import Testing

@Suite("The Debian package")
struct PackageTests {
    @Test(
        "It is built, unpacks to a command that runs, and holds manual page, completions, examples and digests",
        .enabled(if: qalaBinary != nil))
    func package() throws {
        let world = try World()
        defer { world.remove() }
        let environment = ["PATH": "/usr/bin:/bin", "QALA_BINARY": try #require(qalaBinary)]
        let script = Repository.root.appending(path: "packaging/deb").path
        let built = try ProcessRunner.run(script, [world.folder.path], environment: environment, in: world.folder)
        #expect(built.status == 0, "\(built.errorText)")
        let package = built.outputText.trimmingCharacters(in: .newlines)
        func system(_ arguments: String...) throws -> Finished {
            try ProcessRunner.run(
                "/usr/bin/" + arguments[0], Array(arguments.dropFirst()), environment: environment, in: world.folder)
        }
        #expect(try system("dpkg-deb", "-x", package, world.path("root")).status == 0)
        #expect(try system("dpkg-deb", "-e", package, world.path("root/DEBIAN")).status == 0)
        let control = try String(contentsOfFile: world.path("root/DEBIAN/control"), encoding: .utf8)
        #expect(control.contains("Package: qala\n") && control.contains("libssl3"))
        #expect(try system("env", "-C", world.path("root"), "md5sum", "--quiet", "-c", "DEBIAN/md5sums").status == 0)
        for file in [
            "share/man/man1/qala.1.gz", "share/bash-completion/completions/qala", "share/doc/qala/README.md",
            "share/doc/qala/copyright", "share/doc/qala/examples/Policies/config.yaml",
            "share/doc/qala/examples/Runbooks/lost-host.md", "share/doc/qala/examples/prometheus/qala.rules.yaml",
            "lib/systemd/system/qalad.service", "lib/systemd/system/qalad-standby.service", "lib/sysusers.d/qala.conf",
            "lib/tmpfiles.d/qala.conf",
        ] { #expect(FileManager.default.fileExists(atPath: world.path("root/usr/\(file)")), "\(file)") }
        let version = try ProcessRunner.run(
            world.path("root/usr/bin/qala"), ["--version"], environment: environment, in: world.folder)
        #expect(version.status == 0 && control.contains("Version: \(version.outputText)"))
        let daemon = try ProcessRunner.run(
            world.path("root/usr/bin/qalad"), ["--version"], environment: environment, in: world.folder)
        #expect(daemon.status == 0 && daemon.outputText == version.outputText)
        for script in ["postinst", "prerm"] {
            #expect(try system("env", "sh", "-n", world.path("root/DEBIAN/\(script)")).status == 0)
        }
    }

    @Test(
        "The units of both sites are what systemd understands, and tightly confined",
        .enabled(if: qalaBinary != nil), arguments: ["qalad", "qalad-standby"])
    func units(name: String) throws {
        let world = try World()
        defer { world.remove() }
        let shipped = Repository.root.appending(path: "packaging/systemd/\(name).service")
        let daemon = URL(filePath: try #require(qalaBinary)).deletingLastPathComponent().appending(path: "qalad").path
        // Where this machine has the daemon: what is started must be there.
        let text = try String(contentsOf: shipped, encoding: .utf8).replacing("/usr/bin/qalad", with: daemon)
        try world.write("\(name).service", text)
        func analyze(_ arguments: String...) throws -> Finished {
            try ProcessRunner.run(
                "/usr/bin/systemd-analyze", arguments + [world.path("\(name).service")],
                environment: ["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"], in: world.folder)
        }
        let verified = try analyze("verify", "--man=no")
        #expect(verified.status == 0 && verified.errorText.isEmpty, "\(verified.errorText)")
        let security = try analyze("security", "--offline=true", "--threshold=25", "--no-pager")
        #expect(security.status == 0, "\(security.outputText) \(security.errorText)")
        #expect(text.contains("Type=notify\n") && text.contains("WatchdogSec=") && text.contains("NoNewPrivileges=yes"))
        // What a unit hands over, the daemon is asked for.
        let options = text.split(separator: "\n").first { $0.hasPrefix("ExecStart=") }?.split(separator: " ") ?? []
        let help = try ProcessRunner.run(daemon, ["--help"], environment: ["PATH": "/bin"], in: world.folder).outputText
        for option in options where option.hasPrefix("--") { #expect(help.contains(option), "\(option)") }
    }
}
