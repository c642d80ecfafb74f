import BusContract
import Domain
import HealthMonitorCore
import TestSupport
import Testing

/// A day of honest jitter: no alarm, no restart.
@Suite struct HonestJitterTests {
    /// Of a fast camera and of those with a frame in 4 s and in 15 s.
    @Test(arguments: [(25.0, 1.4), (0.25, 4.8), (1.0 / 15, 16.0)])
    func aDayOfJitterIsNoTrouble(fps: Double, longest: Double) {
        let bench = HealthBench()
        bench.record()
        var random = SeededRandom(seed: 4)
        var owed = 0.0
        for _ in 0..<43_200 {
            owed += fps * 2
            let frames = owed.rounded(.down)
            owed -= frames
            bench.play(.seconds(2), fps: frames / 2, interval: longest * (0.3 + 0.7 * random.unit()))
        }
        expectNoTrouble(bench)
    }

    /// Of cameras whose pauses are longer than the least that any is allowed, frame by frame, told by statistics that
    /// the network delays as it likes.
    @Test(arguments: [(1.0, 1.5, 4.2), (2, 1.2, 3.2), (5, 0.9, 2.3)])
    func aDayOfPausesAndLateStatisticsIsNoTrouble(fps: Double, hiccup: Double, pause: Double) {
        let bench = HealthBench()
        bench.record()
        var camera = JitteringCamera(fps: fps, hiccup: hiccup, pause: pause)
        var network = SeededRandom(seed: 4)
        var stats = StreamStats()
        let begun = bench.now.monotonic
        var interval = camera.interval()
        var next = interval
        var standstills = 0
        for sent in stride(from: 2.0, through: 86_400, by: 2) {
            let before = stats.framesTotal
            stats.maxInterarrivalSeconds = 0
            while next <= sent {
                stats.framesTotal += 1
                stats.maxInterarrivalSeconds = max(stats.maxInterarrivalSeconds, interval)
                interval = camera.interval()
                next += interval
            }
            standstills += stats.framesTotal == before ? 1 : 0
            stats.writtenBytesTotal = stats.framesTotal * 1000
            let late = Duration.seconds(1.9 * network.unit())
            bench.pass(begun + .seconds(sent) + late - bench.now.monotonic)
            bench.step(.statsReported(HealthBench.front, stats, sentAt: bench.now.wall - late))
        }
        #expect(standstills > 0, "no frame between two statistics")
        expectNoTrouble(bench)
    }

    private func expectNoTrouble(_ bench: HealthBench) {
        #expect(bench.restarts() == [])
        #expect(bench.complaints() == [])
    }
}
