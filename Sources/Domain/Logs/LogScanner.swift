/// Finds, in the bytes of a log as they are read, where the last whole record ends; of a journal export also what the
/// numbers and times of its entries tell.
///
/// Invariants:
/// - memory is bounded whatever the length of lines and fields;
/// - only whole entries count: what an incomplete one says is heard when it is complete.
package struct LogScanner: Sendable {
    /// A field of journald may be as long as this; a longer one is no export.
    package static let longestField: UInt64 = 1 << 30
    package static let maximumFindings = 100
    package static let maximumSequences = 64
    /// How far entries may go back in time before it is told: journald writes some a little late.
    package static let tolerance: UInt64 = 2_000_000
    /// More than the longest field that is looked at: a cursor.
    private static let keptOfLine = 512

    private enum State: Sendable {
        case line
        /// The 8 bytes of a binary field's length.
        case length(count: Int, value: UInt64)
        case data(left: UInt64)
        case dataEnd
    }

    private let format: LogSource.Format
    private var state = State.line
    private var isBroken = false
    /// The beginning of the current line, and how long it is.
    private var line: [UInt8] = []
    private var lineCount = 0
    private var fields = 0
    private var number: UInt64?
    private var time: UInt64?
    private var sequence: String?
    private var cursor: String?
    private let isWhole: Bool

    /// Bytes taken, and of them those of whole records.
    package private(set) var count: UInt64 = 0
    package private(set) var complete: UInt64 = 0
    package private(set) var records = 0
    package private(set) var places: [JournalPlace]
    package private(set) var findings: [LogFinding] = []
    /// What journald calls the place of the last whole entry; nil where it does not say.
    package private(set) var lastCursor: String?
    private let path: String

    /// `isWhole`: every entry of the journal is in the export, so that a number that is missing is a gap.
    package init(_ format: LogSource.Format, path: String, places: [JournalPlace] = [], isWhole: Bool = true) {
        self.format = format
        self.isWhole = isWhole
        self.path = path
        self.places = Array(places.suffix(Self.maximumSequences))
    }

    package mutating func take(_ bytes: UnsafeRawBufferPointer) {
        if format == .lines || isBroken {
            takeLines(bytes)
        } else {
            takeExport(bytes)
        }
    }

    private mutating func takeLines(_ bytes: UnsafeRawBufferPointer) {
        var lines = 0
        var last: Int?
        for at in bytes.indices where bytes[at] == 0x0A {
            lines += 1
            last = at
        }
        if let last { complete = count + UInt64(last) + 1 }
        records += lines
        count += UInt64(bytes.count)
    }

    private mutating func takeExport(_ bytes: UnsafeRawBufferPointer) {
        var at = 0
        while at < bytes.count {
            if isBroken {
                takeLines(UnsafeRawBufferPointer(rebasing: bytes[at...]))
                return
            }
            if case .data(let left) = state {
                let part = min(left, UInt64(bytes.count - at))
                at += Int(part)
                count += part
                state = left == part ? .dataEnd : .data(left: left - part)
                continue
            }
            take(bytes[at])
            at += 1
        }
    }

    private mutating func take(_ byte: UInt8) {
        count += 1
        switch state {
        case .line:
            guard byte == 0x0A else {
                lineCount += 1
                if line.count < Self.keptOfLine { line.append(byte) }
                return
            }
            endLine()
        case .length(let have, let value):
            let length = value | UInt64(byte) << UInt64(8 * have)
            guard have == 7 else {
                state = .length(count: have + 1, value: length)
                return
            }
            if length > Self.longestField {
                breakOff("has a field of \(length) bytes before byte \(count)")
            } else {
                state = length == 0 ? .dataEnd : .data(left: length)
            }
        case .data: break
        case .dataEnd:
            if byte == 0x0A { state = .line } else { breakOff("has a field without an end before byte \(count)") }
        }
    }

    private mutating func breakOff(_ what: String) {
        isBroken = true
        note(LogFinding(.malformed, path: path, "\(what) of what is new: no journal export from there on"))
    }

    private mutating func endLine() {
        defer {
            line.removeAll(keepingCapacity: true)
            lineCount = 0
        }
        if lineCount == 0 {
            endEntry()
            return
        }
        fields += 1
        guard let equals = line.firstIndex(of: 0x3D) else {
            if lineCount > 64 || !line.allSatisfy(Self.isNameByte) {
                breakOff("has a line that is no field before byte \(count)")
                complete = count
            } else {
                state = .length(count: 0, value: 0)
            }
            return
        }
        let value = String(decoding: line[(equals + 1)...], as: UTF8.self)
        switch String(decoding: line[..<equals], as: UTF8.self) {
        case "__CURSOR": cursor = lineCount > Self.keptOfLine ? nil : value
        case "__SEQNUM": number = UInt64(value)
        case "__SEQNUM_ID": sequence = String(value.prefix(64))
        case "__REALTIME_TIMESTAMP": time = UInt64(value)
        default: break
        }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x5F: true
        default: false
        }
    }

    private mutating func endEntry() {
        complete = count
        defer { (number, time, sequence, cursor, fields) = (nil, nil, nil, nil, 0) }
        guard fields > 0 else { return }
        lastCursor = cursor
        records += 1
        guard let time else { return }
        // Exports of older systems have no numbers: their times are all there is to follow.
        let id = number == nil ? "" : sequence ?? ""
        let place = JournalPlace(id: id, number: number ?? 0, time: time)
        guard let index = places.firstIndex(where: { $0.id == id }) else {
            places.append(place)
            if places.count > Self.maximumSequences { places.removeFirst() }
            return
        }
        let before = places[index]
        if number != nil, place.number <= before.number {
            note(LogFinding(.repeated, path: path, "has entry \(place.number) after entry \(before.number)"))
            return
        }
        if number != nil, isWhole, place.number - before.number > 1 {
            let missing = place.number - before.number - 1
            note(
                LogFinding(
                    .gap, path: path, "lacks \(missing) entries between \(before.number) and \(place.number)"))
        }
        if time < before.time, before.time - time > Self.tolerance {
            let seconds = (before.time - time) / 1_000_000
            note(LogFinding(.clockJump, path: path, "goes back by \(seconds) seconds at entry \(place.number)"))
        }
        places[index] = place
    }

    /// Of very many the first are told, and that there were more.
    private mutating func note(_ finding: LogFinding) {
        if findings.count < Self.maximumFindings {
            findings.append(finding)
        } else if findings.count == Self.maximumFindings {
            findings.append(LogFinding(finding.kind, path: path, "has more like this"))
        }
    }
}
