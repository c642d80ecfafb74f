import BusContract
import Domain
import HealthMonitorCore
import Testing

/// Whether the media server gets the stream: told where it should have it, and only there.
@Suite struct PublishingHealthTests {
    private typealias Path = MediaServerState.Path

    private func codes(_ health: CameraHealth?) -> [HealthReason.Code]? { health?.reasons.map(\.code) }

    /// A camera that records well, and whose live view stands so.
    private func bench(viewing: ViewingState.Phase) -> HealthBench {
        let bench = HealthBench()
        bench.record()
        bench.step(.viewingReported(HealthBench.front, ViewingState(state: viewing)))
        return bench
    }

    /// The path grows, told every 10 s.
    private func grow(_ bench: HealthBench, from bytes: UInt64 = 0) {
        for step in UInt64(1)...6 {
            bench.play(.seconds(10))
            bench.mediaServer(path: Path(ready: true, viewers: 1, bytes: bytes + step * 100_000))
        }
    }

    /// Watched, published for nobody, and left over after the last viewer.
    @Test(arguments: [ViewingState.Phase.active, .off, .closing])
    func aPathThatDoesNotGrowIsTold(viewing: ViewingState.Phase) {
        let bench = bench(viewing: viewing)
        grow(bench)
        #expect(bench.verdict()?.status == .ok)
        bench.play(.seconds(40))
        #expect(codes(bench.verdict()) == [.publishingStalled] && bench.verdict()?.status == .degraded)
        bench.mediaServer(path: Path(ready: true, viewers: 1, bytes: 700_000))
        #expect(bench.verdict()?.status == .ok)
    }

    /// Without a media server a worker says that live view is active as soon as its stream runs.
    @Test func aViewWithoutAMediaServerIsWell() {
        let bench = bench(viewing: .active)
        bench.play(.seconds(120))
        #expect(bench.verdict()?.status == .ok && bench.complaints() == [])
    }

    /// So it does where it never publishes; the config-writer makes no path then.
    @Test func aServerWithoutAPathIsNobodysFault() {
        let bench = bench(viewing: .active)
        bench.mediaServer(path: nil)
        bench.play(.seconds(120))
        #expect(bench.verdict()?.status == .ok && bench.complaints() == [])
    }

    /// Nobody publishes a stream that nobody watches.
    @Test func aPathThatIsNotReadyIsWellWhileNobodyWatches() {
        let bench = bench(viewing: .active)
        grow(bench)
        bench.step(.viewingReported(HealthBench.front, ViewingState(state: .closing)))
        bench.play(.seconds(20))
        bench.step(.viewingReported(HealthBench.front, ViewingState(state: .off)))
        bench.mediaServer(path: Path(ready: false, viewers: 0, bytes: 0))
        bench.play(.seconds(120))
        #expect(bench.verdict()?.status == .ok && bench.complaints() == [])
    }

    @Test(arguments: [true, false]) func aPathThatIsNotReadyIsToldWhileSomebodyWatches(wasThere: Bool) {
        let bench = bench(viewing: wasThere ? .off : .active)
        bench.mediaServer(path: Path(ready: false, viewers: 0, bytes: 0))
        bench.play(.seconds(20))
        bench.step(.viewingReported(HealthBench.front, ViewingState(state: .active)))
        bench.play(.seconds(40))
        #expect(codes(bench.verdict()) == [.publishingStalled])
        bench.mediaServer(path: Path(ready: true, viewers: 1, bytes: 1000))
        #expect(bench.verdict()?.status == .ok)
    }

    /// What the server loses is missed, be it the stream or the whole path; what cannot be known is not.
    @Test(arguments: [Path(ready: false, viewers: 0, bytes: 0), nil])
    func aPathThatIsLostIsTold(path: MediaServerState.Path?) {
        let bench = bench(viewing: .active)
        grow(bench)
        bench.mediaServer(path: path)
        bench.play(.seconds(20))
        #expect(bench.verdict()?.status == .ok)
        bench.play(.seconds(20))
        #expect(codes(bench.verdict()) == [.publishingStalled])
        bench.mediaServer(reachable: false, path: nil)
        bench.play(.seconds(60))
        #expect(bench.verdict()?.status == .ok)
        bench.mediaServer(path: path)
        grow(bench, from: 1)
        #expect(bench.verdict()?.status == .ok)
    }

    /// Of a config-writer that has died nothing is heard, whatever it said last.
    @Test func aDeadConfigWriterIsNoTroubleOfACamera() {
        let bench = bench(viewing: .active)
        grow(bench)
        let writer = ServiceAddress(.configWriter, InstanceID(unchecked: HealthBench.attic.rawValue))
        let gone = HealthBench.service(.offline, started: 1, session: "w")
        bench.step(.serviceReported(writer, gone, sentAt: nil))
        bench.play(.seconds(60))
        bench.mediaServer(path: Path(ready: true, viewers: 1, bytes: 600_000))
        bench.play(.seconds(60))
        #expect(bench.verdict()?.status == .ok && bench.complaints() == [])
        bench.step(.serviceReported(writer, HealthBench.service(.online, started: 2, session: "x"), sentAt: nil))
        grow(bench)
        bench.play(.seconds(40))
        #expect(codes(bench.verdict()) == [.publishingStalled], "it is back")
    }

    /// The stream is the source's trouble while it does not run, and has its time when it is back.
    @Test func aStreamThatWasAwayHasItsTime() {
        let bench = bench(viewing: .off)
        grow(bench)
        bench.step(.streamReported(HealthBench.front, bench.stream(.starting)))
        bench.pass(.seconds(60))
        bench.step(.streamReported(HealthBench.front, bench.stream(.active, restarts: 1)))
        bench.play(.seconds(20))
        #expect(bench.verdict()?.status == .ok && bench.complaints() == [])
    }

    /// A worker tries every 2 s and says so each time; that is one trouble, with the worker's own word for it.
    @Test func aStreamThatTheMediaServerRefusesIsTold() {
        let bench = bench(viewing: .starting)
        let refused = PublishedError(CodedError(.mediaServerUnavailable, "connection refused"))
        func attempts(_ count: Int) {
            for _ in 0..<count {
                bench.play(.seconds(2))
                bench.step(.viewingReported(HealthBench.front, ViewingState(state: .failed, error: refused)))
                bench.step(.viewingReported(HealthBench.front, ViewingState(state: .starting)))
            }
        }
        attempts(12)
        #expect(bench.verdict()?.status == .ok)
        attempts(10)
        #expect(codes(bench.verdict()) == [.publishingStalled] && bench.verdict()?.status == .degraded)
        #expect(bench.verdict()?.reasons.first?.message == "connection refused")
        #expect(bench.complaints().count == 1)
        bench.step(.viewingReported(HealthBench.front, ViewingState(state: .active)))
        #expect(bench.verdict()?.status == .ok)
    }
}
