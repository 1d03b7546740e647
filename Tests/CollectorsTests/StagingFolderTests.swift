import Glibc
import Testing

@testable import Collectors

@Suite("Folders of copies that are read once")
struct StagingFolderTests {
    @Test("A tree goes with everything in it, whatever the names are, and nothing that a link leads to")
    func removeTree() throws {
        let bench = try Workbench()
        for name in ["tree", "tree/inner", "tree/inner/deep", "kept"] { try bench.directory(name) }
        for name in ["tree/a", "tree/inner/deep/b", "kept/c"] { try bench.file(name) }
        try bench.link(bench.place("kept"), "tree/inner/link")
        let odd = (bench.bytes("tree/inner/odd") + [0xFF, 0]).map { CChar(bitPattern: $0) }
        try #require(mkdir(odd, 0o700) == 0)
        StagingFolder.removeTree(bench.place("tree"))
        #expect(!bench.exists("tree") && bench.text("kept/c") != nil)
        // Of a link only itself goes.
        try bench.link(bench.place("kept"), "way")
        StagingFolder.removeTree(bench.place("way"))
        #expect(!bench.exists("way") && bench.text("kept/c") != nil)
        StagingFolder.removeTree(bench.place("nowhere"))
    }
}
