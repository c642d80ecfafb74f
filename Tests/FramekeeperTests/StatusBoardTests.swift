import Bus
import BusContract
import Domain
import FramekeeperCore
import Testing

@testable import FramekeeperShell

@Suite("The status of a cluster, from the bus")
struct StatusBoardTests {
    private static let front = CameraID(unchecked: "front")
    private static let attic = NodeID(unchecked: "attic")
    private static let now = WallTime(milliseconds: 1_772_368_200_000)
    private var board = StatusBoard()

    private mutating func take<M: BusMessage>(_ message: M, of address: M.Address) throws {
        let bytes = try BusCodec.encode(message, at: Self.now, seq: 1)
        board.take(InboundMessage(topic: M.topic(for: address), payload: bytes, isRetained: true))
    }

    private mutating func takeBack<M: BusMessage>(_ type: M.Type, of address: M.Address) {
        board.take(InboundMessage(topic: M.topic(for: address), payload: []))
    }

    @Test("A node's states that are taken back have no line any more")
    mutating func nodes() throws {
        try take(
            StorageState(totalBytes: 3, freeBytes: 2, usedBytes: 1, oldestAt: nil, status: .full), of: Self.attic)
        try take(MediaServerState(reachable: false, breaker: .open, mode: .api), of: Self.attic)
        let address = ServiceAddress(.rotationService, InstanceID(unchecked: "attic"))
        try take(
            ServiceState(state: .online, version: "1", node: Self.attic, pid: 7, startedAt: Self.now, session: "s"),
            of: address)
        #expect(board.storage.count == 1 && board.mediaServers.count == 1 && board.services.count == 1)
        takeBack(StorageState.self, of: Self.attic)
        #expect(board.storage.isEmpty && board.mediaServers.count == 1)
        takeBack(MediaServerState.self, of: Self.attic)
        takeBack(ServiceState.self, of: address)
        #expect(board == StatusBoard())
    }

    @Test("A camera that takes everything back has a line only if it is expected")
    mutating func cameras() throws {
        let stranger = CameraID(unchecked: "passer-by")
        board.expect(Self.front)
        for camera in [Self.front, stranger] {
            try take(CameraAvailability.online, of: camera)
            try take(CameraHealth(status: .failing), of: camera)
        }
        takeBack(CameraHealth.self, of: Self.front)
        #expect(board.cameras.first?.health == nil && board.cameras.first?.availability == .online)
        for camera in [Self.front, stranger] {
            takeBack(CameraAvailability.self, of: camera)
            takeBack(CameraHealth.self, of: camera)
            takeBack(StreamState.self, of: camera)
        }
        #expect(board.cameras.map(\.camera) == [Self.front])
        takeBack(CameraHealth.self, of: stranger)
        #expect(board.cameras.count == 1, "nobody gets a line by taking back what was never said")
    }
}
