import Domain
import Glibc

/// How loaded the machine is, as Linux tells it.
struct HostLoad: Sendable, Equatable {
    /// Of one, five and fifteen minutes, as text with two decimals.
    var loads: [String] = []
    /// Bytes; nil where the kernel does not tell.
    var memoryTotal: Int64?
    var memoryAvailable: Int64?

    static func read() -> HostLoad {
        HostLoad(loadavg: lines(of: "/proc/loadavg"), meminfo: lines(of: "/proc/meminfo"))
    }

    init(loadavg: [String], meminfo: [String]) {
        loads = (loadavg.first?.split(separator: " ").prefix(3) ?? []).map { String($0) }
        for line in meminfo {
            let parts = line.split(separator: " ")
            guard parts.count >= 2, let kilobytes = Int64(parts[1]), kilobytes >= 0, kilobytes < 1 << 50 else {
                continue
            }
            if parts[0] == "MemTotal:" { memoryTotal = kilobytes * 1024 }
            if parts[0] == "MemAvailable:" { memoryAvailable = kilobytes * 1024 }
        }
    }

    /// Files of the kernel have no length: they are read line by line.
    private static func lines(of path: String) -> [String] {
        guard let file = fopen(path, "re") else { return [] }
        defer { fclose(file) }
        var lines: [String] = []
        var line = [CChar](repeating: 0, count: 256)
        while lines.count < 200, fgets(&line, Int32(line.count), file) != nil {
            let bytes = line.prefix { $0 != 0 && $0 != 0x0A }.map { UInt8(bitPattern: $0) }
            lines.append(String(decoding: bytes, as: UTF8.self))
        }
        return lines
    }

    /// Fields of a line of the register.
    var fields: [String: String] {
        var fields: [String: String] = [:]
        for (name, load) in zip(["load1", "load5", "load15"], loads) { fields[name] = load }
        fields["memoryTotal"] = memoryTotal.map { "\($0)" }
        fields["memoryAvailable"] = memoryAvailable.map { "\($0)" }
        return fields
    }
}

/// Room on the file system of a folder, in bytes.
package struct DiskRoom: Sendable, Equatable {
    /// For who is not root, as `df` shows it.
    package var available: Int64
    package var size: Int64

    package init(available: Int64, size: Int64) {
        self.available = available
        self.size = size
    }

    /// Nil where the folder is not there.
    static func of(_ path: String) -> DiskRoom? {
        var info = statvfs()
        guard statvfs(path, &info) == 0 else { return nil }
        let block = UInt64(info.f_frsize)
        func bytes(_ blocks: UInt64) -> Int64 {
            let (product, isOver) = blocks.multipliedReportingOverflow(by: block)
            return isOver ? .max : Int64(clamping: product)
        }
        return DiskRoom(available: bytes(UInt64(info.f_bavail)), size: bytes(UInt64(info.f_blocks)))
    }
}
