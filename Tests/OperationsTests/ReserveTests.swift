import Domain
import Foundation
import Glibc
import Testing
import Vault

@testable import Operations

@Suite("The reserve for a full disk")
struct ReserveTests {
    private static let size = 1 << 20

    private func withState(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "qala-reserve-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder.appending(path: "daemon"), withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder.path)
    }

    @Test("It is allocated and no hole, is given back once, stays behind empty, and is made again")
    func life() throws {
        try withState { state in
            let reserve = Reserve.ofState(state, bytes: Self.size)
            #expect(reserve.standing == .absent && !reserve.give())
            #expect(reserve.keep() && reserve.keep() && reserve.standing == .held)
            var info = stat()
            #expect(stat(reserve.path, &info) == 0)
            #expect(info.st_size == Self.size && Int(info.st_blocks) * 512 >= Self.size)
            #expect(info.st_mode & 0o777 == 0o600)
            #expect(reserve.give() && !reserve.give() && reserve.standing == .given)
            try reserve.checkRoom()
            #expect(reserve.keep() && reserve.standing == .held)
            // A size of nothing takes it away.
            #expect(!Reserve.ofState(state, bytes: 0).keep() && reserve.standing == .absent)
        }
    }

    @Test("It is not made where less than three times as much is free, and where it was given back no run begins then")
    func room() throws {
        try withState { state in
            let room = try #require(DiskRoom.of(state))
            let large = Reserve.ofState(state, bytes: Int(room.available / 2))
            #expect(!large.keep() && large.standing == .absent)
            try large.checkRoom()
            #expect(Reserve.ofState(state, bytes: Self.size).keep() && large.give())
            let refused = Reserve.ofState(state, bytes: Int(clamping: room.available))
            let error = #expect(throws: OperationError.self) { try refused.checkRoom() }
            #expect(error?.isOutOfSpace == true && error?.kind == .failed)
        }
    }

    @Test("What has no room gets the reserve and one more try; other errors and a missing reserve change nothing")
    func using() throws {
        try withState { state in
            let reserves = Reserves(state: state, vault: state + "/vault", bytes: Self.size)
            #expect(reserves.all.count == 1)
            var tries = 0
            func failing(_ code: VaultError.Code, times: Int) throws -> Int {
                tries += 1
                if tries <= times { throw VaultError(code, "no") }
                return tries
            }
            #expect(throws: VaultError.self) { try reserves.using { try failing(.noSpace, times: 1) } }
            #expect(tries == 1)
            reserves.all[0].keep()
            tries = 0
            #expect(throws: VaultError.self) { try reserves.using { try failing(.io, times: 1) } }
            #expect(tries == 1 && reserves.all[0].standing == .held)
            tries = 0
            let used = try reserves.using { try failing(.noSpace, times: 1) }
            #expect(used == 2)
            #expect(reserves.all[0].standing == .given)

            tries = 0
            #expect(throws: VaultError.self) { try reserves.guarding { try failing(.noSpace, times: 1) } }
            #expect(tries == 1 && reserves.all[0].standing == .given, "it was made for the run, and given back")
            let guarded = try reserves.guarding { 7 }
            #expect(guarded == 7)
            #expect(reserves.all[0].standing == .held)
        }
    }

    @Test("A link in its place is neither followed nor cut")
    func link() throws {
        try withState { state in
            let other = state + "/other"
            try Data("precious".utf8).write(to: URL(filePath: other))
            let reserve = Reserve.ofState(state, bytes: Self.size)
            #expect(symlink(other, reserve.path) == 0)
            #expect(!reserve.give() && !reserve.keep())
            #expect(try Data(contentsOf: URL(filePath: other)) == Data("precious".utf8))
        }
    }
}
