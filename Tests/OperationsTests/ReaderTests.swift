import Domain
import Foundation
import Glibc
import Operations
import TestSupport
import Testing
import Vault

/// The format's promise: what the product writes, a program written from `docs/format.md` alone restores.
@Suite("The independent reader")
struct ReaderTests {
    private static let passphrase = "yad dildə də açılır"

    /// A vault with one archive of the tree at `tree`; the kit and the passphrase lie beside it.
    private func vault(_ suite: String, in scratch: Scratch) throws -> Workplace {
        let workplace = scratch.workplace(Self.passphrase)
        let bytes = Array(Self.passphrase.utf8)
        _ = try InitializeVault.run(
            .init(writeOnlyHost: false, kitPath: scratch.place("kit"), passphrase: { bytes }, suite: suite),
            at: workplace)
        try scratch.write("passphrase", Self.passphrase + "\n")
        return workplace
    }

    private func archive(_ scratch: Scratch, at workplace: Workplace) throws -> String {
        let report = try ArchiveTrees.run(
            .init(
                roots: [scratch.place("tree")], excludes: [], oneFileSystem: false, excludeCaches: false, dryRun: false,
                policy: nil), at: workplace)
        #expect(report.problemCount == 0)
        return try #require(report.archive)
    }

    private func expectEqual(_ scratch: Scratch, _ restored: String, _ other: String = "tree") {
        let ignored: Set<TreeComparison.Field> = geteuid() == 0 ? [] : [.owner]
        let found = TreeComparison.differences(scratch.bytes(other), scratch.bytes(restored), ignoring: ignored)
        #expect(found.isEmpty, "\(found.prefix(5))")
    }

    @Test(
        "Restores two archives of everything that Linux keeps",
        .enabled(if: IndependentReader.isExpected, IndependentReader.missing),
        arguments: [("blake3", "--passphrase-file", "passphrase"), ("hmac-sha256", "--code-file", "kit")])
    func fidelity(suite: String, option: String, key: String) throws {
        let scratch = try Scratch()
        let workplace = try vault(suite, in: scratch)
        try FidelityTree(at: scratch.bytes("tree"))
        let first = try archive(scratch, at: workplace)
        func restore(_ archive: String, _ target: String) throws -> String {
            let done = try IndependentReader.run(
                scratch.place("vault"), option, scratch.place(key), "restore", archive, scratch.place(target))
            #expect(IndependentReader.isComplete(done.status), "\(done.errors)")
            return target + scratch.place("tree")
        }
        let one = try restore(first, "one")
        expectEqual(scratch, one)

        try scratch.write("tree/plain", "another text\n")
        try scratch.write("tree/new", "only in the second\n")
        try #require(unlink(scratch.place("tree/empty")) == 0)
        let second = try archive(scratch, at: workplace)
        expectEqual(scratch, try restore("latest", "two"))
        expectEqual(scratch, try restore(String(first.prefix(8)), "one again"), one)

        let vault = scratch.place("vault")
        let list = try IndependentReader.run(vault, option, scratch.place(key), "list")
        #expect(list.output.split(separator: "\n").map { $0.prefix(64) } == [first[...], second[...]])
        let check = try IndependentReader.run(vault, option, scratch.place(key), "check")
        #expect(check.status == 0 && check.output.contains("every byte of 2 archives"), "\(check.errors)")
        let names = try IndependentReader.run(vault, option, scratch.place(key), "ls", first)
        #expect(names.output.contains("/names/\\xff\\xfe\\x0a\\xc3\n"))
    }

    @Test(
        "Refuses damage, a cut log, an older log and other keys",
        .enabled(if: IndependentReader.isExpected, IndependentReader.missing))
    func refusals() throws {
        let scratch = try Scratch()
        let workplace = try vault("blake3", in: scratch)
        try #require(mkdir(scratch.place("tree"), 0o755) == 0)
        try scratch.write("tree/file", String(repeating: "content ", count: 9000))
        let first = try archive(scratch, at: workplace)
        try scratch.write("tree/second", "more")
        _ = try archive(scratch, at: workplace)
        let vault = scratch.place("vault")
        func reader(_ arguments: String...) throws -> Int32 {
            try IndependentReader.execute(
                [IndependentReader.repository.appending(path: "scripts/reader").path, vault] + arguments
            ).status
        }
        let key = ["--passphrase-file", scratch.place("passphrase")]
        #expect(try reader("check") == 0)
        let head = try VaultLog(store: LocalStore(path: vault))

        // Keys: none, a wrong one, the kit of another vault.
        try scratch.write("wrong", "not the passphrase\n")
        #expect(try reader("--passphrase-file", scratch.place("wrong"), "list") == 12)
        #expect(try reader("restore", first, scratch.place("out")) == 12)
        try scratch.write("code", KeyText.encode(Secret.random(), vaultID: head.vaultID))
        #expect(try reader("--code-file", scratch.place("code"), "list") == 12)
        try scratch.write("code", KeyText.encode(Secret.random(), vaultID: Random.digest()))
        #expect(try reader("--code-file", scratch.place("code"), "list") == 12)

        // A byte of a pack: in its header, in a record, in its footer, in the padding, in the trailer.
        let packs = try FileManager.default.subpathsOfDirectory(atPath: vault + "/packs").filter { $0.count == 67 }
        let pack = try #require(packs.first.map { vault + "/packs/" + $0 })
        let whole = try Data(contentsOf: URL(filePath: pack))
        for offset in [9, 40, 112, 200, 112 + 64 + 20, whole.count - 70, whole.count - 40] {
            try change(pack) { $0[offset] ^= 0x10 }
            #expect(try reader("check") == 13, "byte \(offset)")
            try whole.write(to: URL(filePath: pack))
        }
        // A pack serves one archive at least: that one is not restored, the other one may be.
        try change(pack) { $0[112 + 64 + 20] ^= 1 }
        let statuses = try [first, "latest"].map {
            try reader(key[0], key[1], "restore", $0, scratch.place("out \($0)"))
        }
        #expect(statuses.contains(13) && statuses.allSatisfy { [0, 13].contains($0) }, "\(statuses)")
        try whole.write(to: URL(filePath: pack))

        // Each record of the log: a byte changed, or missing while later ones exist.
        for number in 0..<head.count {
            let record = vault + "/" + LogRecord.objectName(number)
            let bytes = try Data(contentsOf: URL(filePath: record))
            try change(record) { $0[$0.count / 2] ^= 0x80 }
            #expect(try reader("list") == 13, "record \(number)")
            try FileManager.default.removeItem(atPath: record)
            if number + 1 < head.count { #expect(try reader("list") == 13, "record \(number) is missing") }
            try bytes.write(to: URL(filePath: record))
        }

        // An older log is a log, but not for those who know its head.
        let pin = "\(head.count - 1):\(head.head.hex)"
        #expect(try reader("--head", pin, "list") == 0)
        try FileManager.default.removeItem(atPath: vault + "/" + LogRecord.objectName(head.count - 1))
        #expect(try reader("list") == 0)
        #expect(try reader("--head", pin, "list") == 13)
    }

    private func change(_ path: String, _ body: (inout Data) -> Void) throws {
        var data = try Data(contentsOf: URL(filePath: path))
        body(&data)
        try data.write(to: URL(filePath: path))
    }

    @Test(
        "Makes nothing outside its target", .enabled(if: IndependentReader.isExpected, IndependentReader.missing))
    func containment() throws {
        let scratch = try Scratch()
        let done = try IndependentReader.execute([
            "-c", Self.hostileTrees, IndependentReader.repository.appending(path: "scripts").path, scratch.path,
        ])
        #expect(done.status == 0 && done.output == "contained\n", "\(done.output)\(done.errors)")
    }

    /// Gives the reader's own parts what no writer writes: pages with bad paths, links where directories should be.
    private static let hostileTrees = """
        import importlib.machinery, importlib.util, os, sys
        scripts, scratch = sys.argv[1:]
        sys.path.insert(0, scripts)
        loader = importlib.machinery.SourceFileLoader("reader", scripts + "/reader")
        reader = importlib.util.module_from_spec(importlib.util.spec_from_loader("reader", loader))
        loader.exec_module(reader)

        def page(*entries):
            body = bytes([1, 0, 1, 0, 0, 0, 0, 1, 5]) + bytes([len(entries)])
            for path, kind, rest in entries:
                body += bytes([0, len(path)]) + path + bytes([kind, 0, 0, 0, 0, 0, 0, 0, 0]) + rest
            return body

        def walk(*entries):
            class Vault:
                def chunk(self, session, identity, kind):
                    first = entries[0][0]
                    node = bytes([1, 1, 1, len(first)]) + first + bytes(32) + bytes([len(entries)])
                    return page(*entries) if kind == 3 else node
            archive = reader.namedtuple("A", "session root level entries bytes")(None, bytes(32), 1, len(entries), 0)
            return list(reader.walk(Vault(), archive))

        file, folder, link = (0, bytes([0])), (1, b""), lambda target: (2, bytes([len(target)]) + target)
        assert [e.path for e in walk((b"a", *folder), (b"a/b", *file))] == [b"a", b"a/b"]
        for path in (b"/x", b"x/", b"..", b"a/../b", b"./a", b"a//b", b"", b"a\\0b"):
            try:
                walk((path, *file))
            except reader.Damage:
                continue
            raise SystemExit(f"{path} was taken")
        for entries in (
            [(b"a", *file), (b"a", *file)],
            [(b"b", *file), (b"a", *file)],
            [(b"a", *link(b"..")), (b"a/b", *file)],
            [(b"a", *file), (b"a/b", *file)],
        ):
            try:
                walk(*entries)
            except reader.Damage:
                continue
            raise SystemExit(f"{entries} were taken")

        # Even where the walk would let them pass, a link is no directory.
        os.mkdir(scratch + "/outside")
        entry = reader.Page(page((b"a", *link(b"../outside"))), "page").entries[0]
        inner = reader.Page(page((b"a/b", *file)), "page").entries[0]
        restorer = reader.Restorer(None, None, scratch + "/target")
        restorer.make(entry)
        for again in (inner, entry, entry._replace(kind=0, content=[]), entry._replace(path=b"a/b", kind=1)):
            try:
                restorer.make(again)
            except OSError:
                continue
            raise SystemExit(f"{again.path} was made through a link")
        assert os.listdir(scratch + "/outside") == [] and os.listdir(scratch + "/target") == ["a"]
        print("contained")
        """

    @Test(
        "Computes the test vectors of the format",
        .enabled(if: IndependentReader.isExpected, IndependentReader.missing))
    func vectors() throws {
        let repository = IndependentReader.repository
        let done = try IndependentReader.execute([
            "-c", Self.vectors, repository.appending(path: "scripts").path,
            repository.appending(path: "docs/vectors/format-1.json").path,
        ])
        #expect(done.status == 0 && done.output == "computed\n", "\(done.output)\(done.errors)")
    }

    private static let vectors = """
        import json, sys
        sys.path.insert(0, sys.argv[1])
        from reader_vault import *

        v, h = json.load(open(sys.argv[2])), bytes.fromhex
        vault, domain, session = h(v["vault"]["id"]), v["domain"], v["session"]
        assert hashlib.sha256(v["vault"]["json"].encode()).digest() == vault
        for text, stored in v["numbers"]["varint"]:
            assert Decoder(h(stored), "").varint() == int(text)
        for text, stored in v["numbers"]["zigzag"]:
            assert Decoder(h(stored), "").zigzag() == int(text)
        for name, expected in v["keySets"].items():
            suite = Suite(name)
            assert suite.digest(h(expected["bytes"])) == h(expected["digest"])
            keys = KeySet(h(expected["bytes"]), suite)
            for reader, told in zip(keys.readers, v["readers"]):
                secret = secret_of_code(told["code"], vault)
                assert secret == h(told["secret"]) and reader.id == h(told["id"][name]) and reader.label == told["label"]
                key = ReadingKey(hkdf(secret, vault, b"qala/v1/reader"))
                assert key.public == reader.public == h(told["publicKey"])
                public, wraps = keys.domains[(h(domain["id"]), domain["generation"])]
                info = b"qala/v1/domain" + vault + h(domain["id"]) + u32(domain["generation"])
                assert key.open(wraps[reader.id], info, "wrap") == h(domain["seed"]) + h(domain["identity"])
            phrase = v["readers"][0]["slot"]["passphrase"].encode()
            assert secret_of_passphrase(phrase, keys, vault) == h(v["readers"][0]["secret"])
            data = h(v["identities"]["data"])
            for index, told in v["identities"][name].items():
                info = b"qala/v1/identity" + bytes([int(index)])
                assert suite.keyed(hkdf(h(domain["identity"]), vault, info), data) == h(told)
        assert hkdf(h(session["key"]), vault, b"qala/v1/commit" + h(session["id"])) == h(session["commitment"])
        for r in v["records"]:
            data, offset = bytes(112) + h(r["record"]), 112
            place = Place(None, r["slot"], 112, len(h(r["plain"])), r["kind"], r["codec"], h(r["chunkID"]), [])
            pack = Pack.__new__(Pack)
            pack.name, pack.id, pack.data, pack.footer_offset, pack.session = "", h(r["packID"]), data, len(data), None
            keys = namedtuple("V", "id session_key")(vault, lambda _: h(session["key"]))
            assert pack.open(place, keys) == h(v["identities"]["data"])
        print("computed")
        """

    @Test("The product reads the log of the test vectors, record by record")
    func logVectors() throws {
        struct Vectors: Decodable {
            struct Vault: Decodable { let id: String }
            struct Record: Decodable { let number: UInt64, bytes: String }
            struct Log: Decodable { let records: [Record] }
            let vault: Vault
            let log: Log
        }
        let file = IndependentReader.repository.appending(path: "docs/vectors/format-1.json")
        let vectors = try JSONDecoder().decode(Vectors.self, from: Data(contentsOf: file))
        let vaultID = try #require(Digest(hex: vectors.vault.id))
        #expect(vectors.log.records.count == 2)
        for record in vectors.log.records {
            let digits = Array(record.bytes.utf8)
            let bytes = try stride(from: 0, to: digits.count, by: 2).map { at in
                try #require(UInt8(String(decoding: digits[at...(at + 1)], as: UTF8.self), radix: 16))
            }
            #expect(try LogRecord(decoding: bytes, vaultID: vaultID).number == record.number)
        }
    }
}
