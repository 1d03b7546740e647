package import Vault

/// What every store must do, whatever it stands on. Throws ``Violation`` at the first thing that it does not do.
package struct StoreContract {
    package struct Violation: Error, CustomStringConvertible {
        package var description: String
    }

    private let make: () throws -> any Store

    /// Runs all rules, each on a new store.
    package static func check(make: @escaping () throws -> any Store) throws {
        let contract = StoreContract(make: make)
        try contract.keepsWhatWasPut()
        try contract.letsOneCreatorWin()
        try contract.readsRangesExactly()
        try contract.refusesNames()
        try contract.listsCompletelyAndInOrder()
        try contract.deletes()
        try contract.uploads()
        try contract.reportsAbsence()
    }

    private func expect(_ isTrue: Bool, _ rule: String) throws {
        if !isTrue { throw Violation(description: rule) }
    }

    private func expect(_ code: VaultError.Code, _ rule: String, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as VaultError where error.code == code {
            return
        } catch {
            throw Violation(description: "\(rule): failed with \(error) instead of \(code)")
        }
        throw Violation(description: "\(rule): succeeded instead of failing with \(code)")
    }

    /// Bytes that repeat nowhere: a drawn block, each copy marked with its number.
    package static func pattern(_ count: Int, seed: UInt64) -> [UInt8] {
        var random = SplitMix(seed: seed)
        let block = (0..<min(count, 997)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count {
            bytes += block.prefix(count - bytes.count)
            let mark = UInt64(bytes.count)
            for shift in 0..<3 {
                bytes[bytes.count - 1 - min(shift, block.count - 1)] ^= UInt8(mark >> (8 * shift) & 255)
            }
        }
        return bytes
    }

    private func keepsWhatWasPut() throws {
        let store = try make()
        for (name, count) in [("vault.json", 10), ("log/0001", 65_536), ("packs/3f/aa", 70_001), ("a/b/c/d", 0)] {
            let bytes = Self.pattern(count, seed: UInt64(count))
            try store.put(name, bytes)
            try expect(store.get(name, limit: count) == bytes, "put, then get returns the bytes of \(name)")
            try expect(store.length(of: name) == UInt64(count), "length of \(name)")
        }
        try store.put("log/0001", [1, 2, 3])
        try expect(store.get("log/0001", limit: 100) == [1, 2, 3], "put replaces")
    }

    private func letsOneCreatorWin() throws {
        let store = try make()
        try expect(store.putIfAbsent("log/1", [1, 2]) == .created, "the first creator gets created")
        try expect(store.putIfAbsent("log/1", [1, 2]) == .alreadyThere, "the same bytes get alreadyThere")
        try expect(store.putIfAbsent("log/1", [1, 3]) == .exists, "other bytes get exists")
        try expect(store.putIfAbsent("log/1", []) == .exists, "an empty object gets exists")
        try expect(store.putIfAbsent("log/1", [1, 2, 3]) == .exists, "longer bytes get exists")
        try expect(store.get("log/1", limit: 10) == [1, 2], "the loser changes nothing")
        try expect(store.list("log").count == 1, "the losers leave nothing in the listing")
        try expect(store.putIfAbsent("top", []) == .created, "an empty object at the top is created")
    }

    private func readsRangesExactly() throws {
        let store = try make()
        let bytes = Self.pattern(10_000, seed: 7)
        try store.put("packs/00/x", bytes)
        let reader = try store.open("packs/00/x")
        try expect(reader.length == 10_000, "an open object knows its length")
        for (offset, length) in [(0, 10_000), (0, 0), (9_999, 1), (10_000, 0), (4_095, 4_098)] {
            var buffer = [UInt8](repeating: 0xEE, count: length + 8)
            try buffer.withUnsafeMutableBytes { raw in
                try store.get("packs/00/x", offset: UInt64(offset), length: length, into: raw)
            }
            let expected = bytes[offset..<(offset + length)] + [UInt8](repeating: 0xEE, count: 8)
            try expect(buffer == Array(expected), "get fills exactly \(length) bytes from \(offset)")
            reader.prefetch(at: UInt64(offset), length: length)
            try buffer.withUnsafeMutableBytes { raw in
                try reader.read(at: UInt64(offset), into: UnsafeMutableRawBufferPointer(rebasing: raw[..<length]))
            }
            try expect(buffer == Array(expected), "an open object fills exactly \(length) bytes from \(offset)")
        }
        var buffer = [UInt8](repeating: 0, count: 16)
        for offset in [9_990, 10_001, UInt64(Int64.max), UInt64.max - 3] {
            try expect(.damaged, "a range from \(offset) that ends beyond the object") {
                try buffer.withUnsafeMutableBytes { try store.get("packs/00/x", offset: offset, length: 16, into: $0) }
            }
            try expect(.damaged, "a read from \(offset) that ends beyond the open object") {
                try buffer.withUnsafeMutableBytes { try reader.read(at: offset, into: $0) }
            }
        }
        try expect(.limit, "an object above the limit") { _ = try store.get("packs/00/x", limit: 9_999) }
        for length in [-1, 17] {
            try expect(.invalidInput, "a range of \(length) bytes for a buffer of 16") {
                try buffer.withUnsafeMutableBytes {
                    try store.get("packs/00/x", offset: 0, length: length, into: $0)
                }
            }
        }
    }

    private func refusesNames() throws {
        let store = try make()
        let long = String(repeating: "a", count: 129)
        for name in [
            "", "/", "/a", "a/", "a//b", ".", "..", "a/..", "a/./b", ".a", "a/.b", "A", "a b", "a/b/c/d/e", "ä",
            "tmp", "tmp/a", "a\0b", "a\n", long,
        ] {
            try expect(.invalidInput, "the name \"\(name)\" for put") { try store.put(name, [1]) }
            try expect(.invalidInput, "the name \"\(name)\" for putIfAbsent") {
                _ = try store.putIfAbsent(name, [1])
            }
            try expect(.invalidInput, "the name \"\(name)\" for get") { _ = try store.get(name, limit: 1) }
            try expect(.invalidInput, "the name \"\(name)\" for length") { _ = try store.length(of: name) }
            try expect(.invalidInput, "the name \"\(name)\" for delete") { try store.delete(name) }
            try expect(.invalidInput, "the name \"\(name)\" for create") { _ = try store.create(name, sizeHint: 0) }
            try expect(.invalidInput, "the name \"\(name)\" for open") { _ = try store.open(name) }
            if !name.isEmpty {
                try expect(.invalidInput, "the name \"\(name)\" for list") { _ = try store.list(name) }
            }
        }
    }

    private func listsCompletelyAndInOrder() throws {
        let store = try make()
        try expect(store.list("packs").isEmpty, "a directory that was never used is empty")
        var names: [String] = []
        for index in 0..<40 { names.append("packs/\(Hex2.text(index * 5))/\(Hex2.text(index))") }
        names += ["packs/x", "packs/3f-", "packs/3f."]
        for name in names.shuffled() { try store.put(name, [UInt8](repeating: 1, count: name.utf8.count)) }
        try store.put("packs/aa/bb/deep", [1])
        try store.put("top", [1])
        try store.put("log/1", [1])
        let expected = names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            .map { ObjectInfo(name: $0, length: UInt64($0.utf8.count)) }
        try expect(store.list("packs") == expected, "a listing is complete, sorted and one level deep")
        try expect(store.list("") == [ObjectInfo(name: "top", length: 1)], "the top lists only its own objects")
        try expect(
            store.list("packs/aa").map(\.name) == ["packs/aa/22", "packs/aa/bb/deep"],
            "a directory below the top can be listed")
    }

    private func deletes() throws {
        let store = try make()
        try store.put("packs/00/a", [1])
        try store.put("packs/00/b", [2])
        let reader = try store.open("packs/00/a")
        try store.delete("packs/00/a")
        try expect(store.length(of: "packs/00/a") == nil, "a deleted object is gone")
        try expect(store.list("packs").map(\.name) == ["packs/00/b"], "a deleted object is not listed")
        var byte: [UInt8] = [0]
        try byte.withUnsafeMutableBytes { try reader.read(at: 0, into: $0) }
        try expect(byte == [1], "an object deleted while open stays readable")
        try store.delete("packs/00/a")
        try store.delete("never/was")
        try expect(store.putIfAbsent("packs/00/a", [3]) == .created, "a deleted name is free again")
    }

    private func uploads() throws {
        let store = try make()
        for count in [0, 1, 4_096, 1_048_575, 1_048_576, 1_048_577, 5 * 1_048_576 + 4_097] {
            let bytes = Self.pattern(count, seed: UInt64(count) &+ 99)
            let upload = try store.create("packs/11/up", sizeHint: count.isMultiple(of: 2) ? 8_000_000 : 0)
            var at = 0
            var step = 1
            while at < count {
                let end = min(count, at + step)
                try bytes[at..<end].withUnsafeBytes { try upload.append($0) }
                at = end
                step = step * 3 + 1
            }
            try upload.finish()
            try expect(store.get("packs/11/up", limit: count) == bytes, "an upload of \(count) bytes, replacing")
            try expect(.invalidInput, "finishing twice") { try upload.finish() }
            try expect(.invalidInput, "appending after the end") { try bytes.withUnsafeBytes { try upload.append($0) } }
            upload.abort()
            try expect(store.length(of: "packs/11/up") == UInt64(count), "abort after finish changes nothing")
        }
        let dropped = try store.create("packs/22/gone", sizeHint: 0)
        let block = Self.pattern(3_000_000, seed: 3)
        try block.withUnsafeBytes { try dropped.append($0) }
        try expect(store.length(of: "packs/22/gone") == nil, "an upload is invisible before its end")
        dropped.abort()
        dropped.abort()
        try expect(.invalidInput, "finishing after abort") { try dropped.finish() }
        do {
            let forgotten = try store.create("packs/22/gone", sizeHint: 0)
            try block.withUnsafeBytes { try forgotten.append($0) }
        }
        try expect(store.length(of: "packs/22/gone") == nil, "an aborted upload never appears")
        try expect(store.list("packs").map(\.name) == ["packs/11/up"], "aborted uploads are not listed")
    }

    private func reportsAbsence() throws {
        let store = try make()
        try store.put("packs/00/a", [1])
        for name in ["vault.json", "log/1", "packs/00/b", "packs/01/a", "a/b/c/d"] {
            try expect(store.length(of: name) == nil, "\(name) has no length")
            try expect(.missingObject, "get of \(name)") { _ = try store.get(name, limit: 1) }
            try expect(.missingObject, "open of \(name)") { _ = try store.open(name) }
            var byte: [UInt8] = [0]
            try expect(.missingObject, "a range of \(name)") {
                try byte.withUnsafeMutableBytes { try store.get(name, offset: 0, length: 1, into: $0) }
            }
        }
    }
}

private enum Hex2 {
    static func text(_ value: Int) -> String {
        let text = String(value, radix: 16)
        return text.utf8.count < 2 ? "0" + text : text
    }
}
