package import Domain
import Glibc

/// The clocks of the machine, as the daemon reads them; tests bring their own.
package struct DaemonClock: Sendable {
    package var read: @Sendable () -> ClockReading
    /// Names the boot: another one after each start of the machine.
    package var bootID: String

    package init(bootID: String, read: @escaping @Sendable () -> ClockReading) {
        self.bootID = bootID
        self.read = read
    }

    package static func ofMachine() -> DaemonClock {
        var name = "unknown"
        if let file = fopen("/proc/sys/kernel/random/boot_id", "re") {
            var line = [CChar](repeating: 0, count: 64)
            if fgets(&line, Int32(line.count), file) != nil {
                name = String(decoding: line.prefix { $0 > 0x20 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            }
            fclose(file)
        }
        return DaemonClock(bootID: name) {
            ClockReading(wall: microseconds(CLOCK_REALTIME), boot: microseconds(CLOCK_BOOTTIME))
        }
    }

    private static func microseconds(_ clock: clockid_t) -> Int64 {
        var now = timespec()
        clock_gettime(clock, &now)
        return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000
    }
}

/// Tells the service manager how the daemon fares (`sd_notify`); silent where none listens.
package struct ServiceNotifier: Sendable {
    private let socket: String?
    /// How often the service manager must hear from a daemon that is well, in seconds; nil where it does not want to.
    package let watchdogSeconds: Double?

    /// `environment` is that of the process: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
    package init(_ environment: (String) -> String?) {
        socket = environment("NOTIFY_SOCKET").flatMap { $0.isEmpty ? nil : $0 }
        let isMeant = environment("WATCHDOG_PID").map { $0 == "\(getpid())" } ?? true
        watchdogSeconds = isMeant ? environment("WATCHDOG_USEC").flatMap(Double.init).map { $0 / 1_000_000 } : nil
    }

    /// Lines such as `READY=1`.
    package func send(_ lines: String...) {
        guard let socket else { return }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        var name = Array(socket.utf8)
        guard name.count < room else { return }
        // A leading @ stands for the zero byte of an abstract name.
        if name[0] == 0x40 { name[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        let isAbstract = name[0] == 0
        let length = MemoryLayout<sa_family_t>.size + name.count + (isAbstract ? 0 : 1)
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let text = Array(lines.joined(separator: "\n").utf8)
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { place in
                // A service manager that does not listen must not hold up the daemon; a full queue is tried again shortly.
                for _ in 0..<5 {
                    let sent = sendto(
                        descriptor, text, text.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT), place,
                        socklen_t(length))
                    guard sent < 0, errno == EAGAIN || errno == EINTR else { break }
                    usleep(10_000)
                }
            }
        }
    }

    /// systemd wants the time at which a reload began.
    package func reloading() {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        send("RELOADING=1", "MONOTONIC_USEC=\(Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000)")
    }
}
