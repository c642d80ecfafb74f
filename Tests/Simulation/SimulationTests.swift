import CaptureWorkerCore
import Domain
import Foundation
import TestSupport
import Testing

/// Simulated camera-days under faults of every kind. A seed that fails prints itself and replays exactly:
/// `FRAMEKEEPER_SIMULATION_SEED=7 Tests/run.sh --filter fiveDaysOfFaultsBreakNoPromise` runs that one alone.
@Suite struct SimulationTests {
    /// Two hundred camera-days; with `Tests/run.sh --full`, two thousand.
    private static let seeds: ClosedRange<UInt64> = {
        let environment = ProcessInfo.processInfo.environment
        if let seed = environment["FRAMEKEEPER_SIMULATION_SEED"].flatMap(UInt64.init) { return seed...seed }
        return environment["FRAMEKEEPER_TEST_FULL"] == nil ? 1...40 : 1...400
    }()

    private static func settings(seed: UInt64) -> Simulation.Settings {
        var random = SeededRandom(seed: seed ^ 0xCA3E)
        var settings = Simulation.Settings(seed: seed)
        settings.days = 5
        // Few pictures, but groups of the length that cameras have, and shorter than the time that a start may take.
        (settings.interval, settings.picturesPerGroup) = random.pick(
            [(.seconds(1), 4), (.seconds(2), 2), (.seconds(4), 1), (.seconds(5), 1)])
        settings.rotation = RotationSettings(
            interval: random.pick([.seconds(1800), .seconds(1800), .seconds(600), .seconds(3600)]),
            align: random.pick(RotationAlignment.allCases))
        settings.preroll = random.pick([.zero, .zero, .seconds(30)])
        settings.publishing = random.pick([.never, .onDemand, .onDemand, .always])
        return settings
    }

    @Test(arguments: seeds) func fiveDaysOfFaultsBreakNoPromise(seed: UInt64) {
        let outcome = Simulation(Self.settings(seed: seed)).run()
        #expect(outcome.broken.isEmpty, "\(report(outcome))")
        #expect(outcome.pictures > 10_000)
        #expect(outcome.segments > 100)
        #expect(outcome.gaps > 10)
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>) func aHealthyDayHasNoGap(seed: UInt64) {
        var settings = Self.settings(seed: seed)
        settings.days = 1
        settings.faultsPerDay = 0
        let outcome = Simulation(settings).run()
        #expect(outcome.broken.isEmpty, "\(report(outcome))")
    }

    @Test(arguments: [3, 8] as [UInt64]) func aSeedReplaysExactly(seed: UInt64) {
        var settings = Self.settings(seed: seed)
        settings.days = 1
        let first = Simulation(settings).run()
        let second = Simulation(settings).run()
        #expect(first.pictures == second.pictures)
        #expect(first.segments == second.segments)
        #expect(first.trace == second.trace)
    }

    @Test(arguments: Sabotage.allCases.filter { $0 != .none }) func whatIsBrokenOnPurposeIsFound(sabotage: Sabotage) {
        let found = Self.seedsOfSabotage.contains { seed in
            !Simulation(Self.sabotaged(sabotage, seed: seed)).run().broken.isEmpty
        }
        #expect(found)
    }

    /// The same days with nothing broken: what is found there is found for the sabotage's sake.
    @Test(arguments: seedsOfSabotage) func whatIsNotBrokenIsNotFound(seed: UInt64) {
        let outcome = Simulation(Self.sabotaged(.none, seed: seed)).run()
        #expect(outcome.broken.isEmpty, "\(report(outcome))")
    }

    private static let seedsOfSabotage: ClosedRange<UInt64> = 1...20

    private static func sabotaged(_ sabotage: Sabotage, seed: UInt64) -> Simulation.Settings {
        var settings = settings(seed: seed)
        settings.sabotage = sabotage
        settings.days = 1
        settings.faultsPerDay = 24
        return settings
    }

    private func report(_ outcome: Simulation.Outcome) -> String {
        "seed \(outcome.seed)\n\(outcome.broken.joined(separator: "\n"))\n\(outcome.trace.joined(separator: "\n"))"
    }
}
