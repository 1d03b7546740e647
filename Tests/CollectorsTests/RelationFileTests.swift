import Testing

@testable import Collectors

@Suite("Files of a PostgreSQL cluster")
struct RelationFileTests {
    @Test(
        "Names of relations say which part of which fork they are",
        arguments: [
            ("16384", "16384", "main", 0), ("16384.3", "16384", "main", 3), ("16384_fsm", "16384", "fsm", 0),
            ("16384_vm.1", "16384", "vm", 1), ("16384_init", "16384", "init", 0), ("t3_16384", "16384", "main", 0),
            ("t3_16384_fsm.2", "16384", "fsm", 2),
        ] as [(String, String, String, UInt32)])
    func names(name: String, node: String, fork: String, segment: UInt32) throws {
        let file = try #require(RelationFile(name))
        #expect(file.node == node && file.fork.rawValue == fork && file.segment == segment)
        #expect(file.isTemporary == name.hasPrefix("t"))
    }

    @Test(
        "Other files are none",
        arguments: [
            "PG_VERSION", "pg_control", "pg_filenode.map", "16384_main", "16384_x", "16384.", "16384.x", ".1", "_fsm",
            "t_16384", "tx_1", "16384_fsm_vm", "", "99999999999",
        ])
    func others(name: String) { #expect(RelationFile(name) == nil) }

    @Test("Relations are at home in few directories")
    func homes() {
        func isHome(_ path: String, inTablespace: Bool = false) -> Bool {
            RelationFile.isHome(path.split(separator: "/")[...], inTablespace: inTablespace)
        }
        #expect(isHome("global") && isHome("base/5") && isHome("5", inTablespace: true))
        #expect(!isHome("") && !isHome("base") && !isHome("pg_xact") && !isHome("base/x") && !isHome("base/5/6"))
        #expect(!isHome("global", inTablespace: true) && !isHome("", inTablespace: true))
    }
}
