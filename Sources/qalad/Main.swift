import API
import ArgumentParser
import Glibc
import Operations
import Server

@main
struct Qalad: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "qalad",
        abstract: "Executes archiving policies on time.",
        discussion: """
            Arxivləşdirmə siyasətlərini vaxtında icra edir.

            Runs in the foreground, for a service manager. In force are the policies that
            `qala policy apply` applied last; the first start applies the folder. SIGHUP
            takes the newest version, SIGTERM ends the daemon: a run that is going
            resumes at the next start.
            Exit status: those of qala; 11 when another daemon has the state directory,
            78 when there is no valid set of policies.
            """,
        version: Version.text)

    @Option(help: "Folder of the policies, as they are proposed.")
    var policies = Places.policies

    @Option(help: "Directory of this host's state.")
    var state = Places.state(isRoot: geteuid() == 0, DaemonProcess.environment)

    @Option(help: "Vault for policies that name none.")
    var vault = Places.vault(isRoot: geteuid() == 0, DaemonProcess.environment)

    @Option(help: "Document that says where alarms go; none when there is no such file.")
    var alarms = Places.alarms

    @Option(help: "Key file, where this host may read: then content is verified too.")
    var keyFile: String?

    @Option(help: "Control socket.")
    var socket = Places.socket(isRoot: geteuid() == 0, DaemonProcess.environment)

    @Option(help: "Room kept for the day the disk is full, in MiB; 0 for none.")
    var reserve = Daemon.Settings.usualReserveBytes >> 20

    @Option(help: ArgumentHelp("Look for sources in this directory too.", valueName: "dir"))
    var discover: [String] = []

    @Option(help: ArgumentHelp("Pattern of what is not looked at, below /, as in a .gitignore.", valueName: "pattern"))
    var discoverExclude: [String] = []

    @Flag(help: "Do not look which databases and repositories this host has.")
    var noDiscovery = false

    @Option(help: "Loopback address for metrics and health too, such as 127.0.0.1:9469.")
    var metrics: String?

    /// What systemd hands over with `LoadCredential=qala.key:…`.
    private static var credential: String? {
        DaemonProcess.environment("CREDENTIALS_DIRECTORY").map { $0 + "/qala.key" }
            .flatMap { access($0, F_OK) == 0 ? $0 : nil }
    }

    func validate() throws {
        do { _ = try DiscoverySettings.usual(and: discover, excludes: discoverExclude) } catch {
            throw ValidationError(error.message)
        }
        guard (0...1 << 20).contains(reserve) else {
            throw ValidationError("--reserve is a number of MiB, 0 to 1048576.")
        }
    }

    func run() async throws {
        umask(0o077)
        var settings = Daemon.Settings(
            statePath: state, policyFolder: policies, vaultPath: vault, version: Version.text,
            alarmsPath: alarms, keyPath: keyFile ?? Self.credential, reserveBytes: reserve << 20)
        if !noDiscovery { settings.discovery = try .usual(and: discover, excludes: discoverExclude) }
        let status = await DaemonProcess(settings: settings, socket: socket, metrics: metrics).run()
        if status != .done { throw ExitCode(status.rawValue) }
    }
}
