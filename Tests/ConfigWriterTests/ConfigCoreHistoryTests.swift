import BusContract
import ConfigWriterCore
import Domain
import Testing

/// Every short history of a config-writer, against its promises.
@Suite struct ConfigCoreHistoryTests {
    private struct Wish: Hashable {
        var text: String
        var now: Bool
    }

    private struct Life: Hashable {
        var records: Set<CameraID> = []
        var isKnown = true
        /// The newest that loads.
        var wish = Wish(text: "f1 y1", now: false)
    }

    /// Over every history of four events: what does not load is never in force; numbers grow; a recording is never
    /// interrupted without `now`; and once nothing records and the disk writes, the newest wish that loads is in force.
    @Test func allShortHistoriesKeepThePromises() {
        explore(ConfigBench.running("f1 y1"), Life(), depth: 4)
    }

    private func explore(_ bench: ConfigBench, _ life: Life, depth: Int) {
        var settled = bench
        settle(&settled, life)
        #expect(settled.inForce == life.wish.text, "the newest wish is in force in the end")
        #expect(settled.core.texts.count == 1, "and nothing waits")
        guard depth > 0 else { return }
        for choice in 0..<12 {
            var next = bench
            var after = life
            play(choice, &next, &after)
            check(bench, next, after)
            explore(next, after, depth: depth - 1)
        }
    }

    private func play(_ choice: Int, _ bench: inout ConfigBench, _ life: inout Life) {
        switch choice {
        case 0: wish("f2 y1", &life) { bench.file("f2 y1") }
        case 1: wish("f1 y2", &life) { bench.file("f1 y2") }
        case 2: bench.file("?")
        case 3:
            life.wish = Wish(text: "y1", now: false)
            bench.apply("y1")
        case 4:
            life.wish = Wish(text: "f3 y1", now: true)
            bench.apply("f3 y1", now: true)
        case 5:
            life.wish = Wish(text: "f1 y1", now: false)
            bench.apply("f1 y1", origin: .rollback)
        case 6, 7:
            let camera = choice == 6 ? ConfigBench.front : ConfigBench.yard
            let isRecording = !life.records.contains(camera)
            if isRecording { life.records.insert(camera) } else { life.records.remove(camera) }
            bench.record(camera, isRecording)
        case 8:
            life.isKnown = false
            bench.step(.busLost)
        case 9:
            // The broker comes back without a memory, and before the workers do.
            life.isKnown = true
            bench.step(.busLost)
            bench.step(.busConnected)
            bench.step(.statesKnown)
        case 10: bench.diskError = bench.diskError == nil ? CodedError(.storageFull, "full") : nil
        default: bench.step(.woke, after: ConfigCore.retryAfter)
        }
    }

    private func wish(_ text: String, _ life: inout Life, _ happen: () -> Void) {
        life.wish = Wish(text: text, now: false)
        happen()
    }

    private func check(_ before: ConfigBench, _ after: ConfigBench, _ life: Life) {
        let (old, new) = (before.core.inForce, after.core.inForce)
        #expect(after.inForce?.contains("?") == false)
        #expect((new?.number ?? 0) >= (old?.number ?? 0))
        guard let old, let new, old.number != new.number else { return }
        #expect(after.active.last == new.text.name, "what is in force is on the disk")
        // A `now` of the same text may have come before.
        guard new.text.name != "f3 y1" else { return }
        for camera in old.facts.workers.keys where old.facts.workers[camera] != new.facts.workers[camera] {
            #expect(life.isKnown && !life.records.contains(camera), "\(camera) was interrupted")
        }
    }

    /// Everything ends that could be waited for: the workers come back, and their recordings end.
    private func settle(_ bench: inout ConfigBench, _ life: Life) {
        bench.diskError = nil
        let before = bench
        bench.step(.busConnected)
        bench.step(.statesKnown)
        check(before, bench, life)
        for camera in [ConfigBench.front, ConfigBench.yard] { bench.record(camera, false) }
        bench.wait(ConfigCore.retryAfter)
    }
}

@Suite("Retained states of cameras that are no more")
struct ConfigRetirementTests {
    private let front = ConfigBench.front
    private let yard = ConfigBench.yard

    private final class Subject {
        private var retirement = ConfigRetirement(node: ConfigBench.node)
        func configured(_ fleet: Set<CameraID>, own: Set<CameraID>) -> [CameraID] {
            retirement.configured(fleet, own: own)
        }
        func returning(_ fleet: Set<CameraID>) -> [CameraID] { retirement.returning(in: fleet) }
        func settings(_ camera: CameraID, _ node: String) -> [CameraID] {
            retirement.settingsReported(camera, node: NodeID(unchecked: node))
        }
        func availability(_ camera: CameraID, _ isOnline: Bool) -> [CameraID] {
            retirement.availabilityReported(camera, isOnline: isOnline)
        }
        func state(_ camera: CameraID) -> [CameraID] { retirement.stateReported(camera) }
        func known() -> [CameraID] { retirement.statesKnown() }
    }

    @Test("Cleared when the worker is gone, and again for its last words")
    func removed() {
        let subject = Subject()
        #expect(subject.configured([front, yard], own: [front, yard]) == [])
        #expect(subject.availability(front, true) == [] && subject.known() == [])
        #expect(subject.configured([yard], own: [yard]) == [], "its worker still runs")
        #expect(subject.state(front) == [])
        #expect(subject.availability(front, false) == [front])
        #expect(subject.state(front) == [front], "late")
        #expect(subject.availability(yard, false) == [])
    }

    @Test("A camera that is back is told once: what was cleared of it is its own to say again")
    func returned() {
        let subject = Subject()
        _ = subject.configured([front, yard], own: [front, yard])
        _ = subject.known()
        #expect(subject.configured([yard], own: [yard]) == [front])
        #expect(subject.returning([yard]) == [] && subject.returning([front, yard]) == [front])
        #expect(subject.configured([front, yard], own: [yard]) == [])
        #expect(subject.returning([front, yard]) == [])
    }

    @Test("What an earlier process left is cleared once everything is known; another node's is not")
    func leftover() {
        let subject = Subject()
        #expect(subject.configured([yard], own: [yard]) == [])
        #expect(subject.settings(front, "attic") == [] && subject.settings(CameraID(unchecked: "far"), "barn") == [])
        #expect(subject.known() == [front])
        #expect(subject.configured([yard, front], own: [yard]) == [], "another node has it now")
    }
}
