import BusContract
import ConfigWriterCore
import Domain
import Testing

@Suite("What text of the configuration is in force")
struct ConfigCoreTests {
    private let front = ConfigBench.front

    @Test("The first file is revision 1, in force at once")
    func first() {
        var bench = ConfigBench()
        bench.step(.started(ConfigMemory()))
        let effects = bench.file("f1 n1")
        #expect(
            effects.prefix(3) == [
                .record(1, ConfigText("f1 n1"), .file, ConfigNote()), .rememberFileSeen(ConfigText("f1 n1")),
                .activate(1, ConfigText("f1 n1")),
            ])
        #expect(effects.contains(.markApplied(1)) && effects.contains(.publishCameras(1)))
        #expect(bench.state?.revision == 1 && bench.state?.valid == true && bench.state?.pending == nil)
    }

    @Test("A file that is the same as ever is no revision; a restart changes nothing")
    func same() {
        var bench = ConfigBench.running("f1 n1")
        #expect(bench.file("f1 n1") == [])
        #expect(bench.core.inForce?.number == 1 && bench.active.isEmpty)
    }

    @Test("A text that does not load is said and changes nothing; the mended one is in force")
    func broken() {
        var bench = ConfigBench.running("f1 n1")
        let effects = bench.file("f1 n1 ?")
        #expect(effects.first == .recordRefused(ConfigText("f1 n1 ?")))
        #expect(bench.state?.valid == false && bench.state?.errors.count == 2 && bench.state?.revision == 1)
        #expect(bench.state?.fileDiffers == true && bench.inForce == "f1 n1")
        bench.file("f2 n1")
        #expect(bench.state?.valid == true && bench.state?.errors == [] && bench.state?.revision == 2)
        #expect(bench.state?.fileDiffers == false && bench.active == ["f2 n1"])
    }

    @Test("Broken and put back as it was: no revision, and the fault is gone")
    func brokenAndBack() {
        var bench = ConfigBench.running("f1 n1")
        bench.file("?")
        bench.file("f1 n1")
        #expect(bench.state?.valid == true && bench.state?.revision == 1 && bench.active.isEmpty)
    }

    @Test("A secret that a broken text lacked makes the same text a wish")
    func secretCame() {
        var bench = ConfigBench.running("f1 n1")
        bench.step(.fileRead(ConfigReading(text: ConfigText("f2 n1"), outcome: .invalid(["no such secret"]))))
        #expect(bench.state?.valid == false)
        bench.file("f2 n1")
        #expect(bench.inForce == "f2 n1")
    }

    @Test("The same text with a new secret is a new revision")
    func newSecret() {
        var bench = ConfigBench.running("f1 n1")
        bench.step(.fileRead(ConfigReading(text: ConfigText("f1 n1"), outcome: .valid(ConfigBench.facts("f9 n1")))))
        #expect(bench.core.inForce?.number == 2 && bench.active == ["f1 n1"])
    }

    @Test("A recording is not interrupted: the change waits, says for whom, and follows when it ends")
    func waits() {
        var bench = ConfigBench.running("f1 y1 n1")
        bench.record(front, true)
        let effects = bench.file("f2 y2 n1")
        #expect(effects.contains(.record(2, ConfigText("f2 y2 n1"), .file, ConfigNote())))
        #expect(bench.active.isEmpty)
        #expect(bench.state?.revision == 1 && bench.state?.pending?.revision == 2)
        #expect(bench.state?.pending?.waitsFor == [front] && bench.state?.valid == true)
        bench.record(front, false)
        #expect(bench.active == ["f2 y2 n1"] && bench.state?.revision == 2 && bench.state?.pending == nil)
    }

    @Test("A change that leaves the recording camera alone waits for nobody; so does a new camera")
    func concernsOthers() {
        var bench = ConfigBench.running("f1 n1")
        bench.record(front, true)
        bench.file("f1 y1 n1")
        #expect(bench.inForce == "f1 y1 n1")
        bench.file("f1 n1")
        #expect(bench.inForce == "f1 n1", "yard does not record")
    }

    @Test("A camera that records and is removed is waited for")
    func removed() {
        var bench = ConfigBench.running("f1 y1 n1")
        bench.record(front, true)
        bench.file("y1 n1")
        #expect(bench.state?.pending?.waitsFor == [front])
    }

    @Test("`now` does not wait; it also pushes what waits already")
    func now() {
        var bench = ConfigBench.running("f1 n1")
        bench.record(front, true)
        let patient = bench.apply("f2 n1")
        #expect(patient.answer?.result?.pending?.revision == 2 && patient.answer?.result?.revision == 1)
        let pushed = bench.apply("f2 n1", now: true, origin: .file)
        #expect(pushed.answer?.result?.revision == 2 && pushed.answer?.result?.pending == nil)
        #expect(bench.apply("f3 n1", now: true).answer?.result?.revision == 3)
    }

    @Test("A camera that records always is named with the way out")
    func always() {
        var bench = ConfigBench.running("f1 a n1")
        bench.record(front, true)
        bench.file("f2 a n1")
        #expect(bench.state?.pending?.reason.contains("front records always") == true)
        #expect(bench.state?.pending?.reason.contains("--now") == true)
    }

    @Test("A newer text takes the place of one that waits; the old wish is not wanted any more")
    func replaced() {
        var bench = ConfigBench.running("f1 n1")
        bench.record(front, true)
        bench.file("f2 n1")
        let effects = bench.file("f3 n1")
        #expect(effects.contains(.markSuperseded(2)) && bench.state?.pending?.revision == 3)
        #expect(bench.file("f1 n1").contains(.markSuperseded(3)), "back to what is in force")
        #expect(bench.state?.pending == nil && bench.state?.revision == 1)
        bench.record(front, false)
        #expect(bench.active.isEmpty)
    }

    @Test("Without the bus nobody knows who records, so a change that concerns a worker waits")
    func withoutBus() {
        var bench = ConfigBench()
        bench.start(
            ConfigMemory(inForce: ConfigBench.revision(1, "f1 n1"), last: 1, fileSeen: ConfigText("f1 n1")),
            file: "f2 n1")
        #expect(bench.state?.pending?.waitsFor == [front])
        bench.step(.busConnected)
        bench.record(front, true)
        bench.step(.statesKnown)
        #expect(bench.active.isEmpty)
        bench.step(.busLost)
        bench.step(.busConnected)
        bench.record(front, false)
        #expect(bench.active.isEmpty, "not everything has come")
        bench.step(.statesKnown)
        #expect(bench.active == ["f2 n1"])
    }

    @Test("Another broker waits for the node's start, `now` or not; the start puts it in force")
    func otherBroker() {
        var bench = ConfigBench.running("f1 n1")
        #expect(bench.apply("f1 n2", now: true).answer?.result?.pending?.reason.contains("framekeeper up") == true)
        #expect(bench.active.isEmpty)
        var start = ConfigBench(.starting)
        start.start(
            ConfigMemory(
                inForce: ConfigBench.revision(1, "f1 n1"), pending: ConfigBench.revision(2, "f1 n2"), last: 2,
                fileSeen: ConfigText("f1 n2")), file: "f1 n2")
        #expect(start.active == ["f1 n2"] && start.core.inForce?.number == 2)
    }

    @Test("Alone, with nobody who starts processes anew, nothing waits")
    func alone() {
        var bench = ConfigBench(.alone)
        bench.start(ConfigMemory(inForce: ConfigBench.revision(4, "f1 n1"), last: 4), file: "f2 n2")
        #expect(bench.active == ["f2 n2"] && bench.core.inForce?.number == 5)
    }

    @Test("A start with what waited and a newer file: only the file comes in force")
    func startWithBoth() {
        var bench = ConfigBench(.starting)
        bench.start(
            ConfigMemory(
                inForce: ConfigBench.revision(1, "f1"), pending: ConfigBench.revision(2, "f2"), last: 2,
                fileSeen: ConfigText("f2")), file: "f3")
        #expect(bench.active == ["f3"] && bench.core.inForce?.number == 3)
    }

    @Test("A command's text goes into the file; one that does not load is refused with everything")
    func command() {
        var bench = ConfigBench.running("f1 n1")
        let applied = bench.apply("f2 n1")
        #expect(applied.effects.contains(.writeFile(ConfigText("f2 n1"))))
        #expect(bench.state?.fileDiffers == false)
        #expect(bench.file("f2 n1") == [], "the watch sees what was written")
        let refused = bench.apply("f3 ?")
        #expect(refused.answer?.error?.code == .invalidArgument && refused.answer?.result?.errors.count == 2)
        #expect(refused.effects.count == 1, "nothing changes")
        let asked = bench.step(.asked(ConfigBench.reading("f3 ?"), CommandToken(number: 99)))
        #expect(asked.first?.result?.valid == false && asked.count == 1)
    }

    @Test("A file that cannot be written: in force all the same, and the difference is said until it is gone")
    func readOnly() {
        var bench = ConfigBench.running("f1 n1")
        bench.fileError = CodedError(.storageFailed, "read-only")
        bench.apply("f2 n1", origin: .rollback)
        #expect(bench.inForce == "f2 n1" && bench.state?.fileDiffers == true && bench.state?.valid == true)
        #expect(bench.file("f1 n1") == [], "the old text in the file is no wish")
        bench.file("f3 n1")
        #expect(bench.inForce == "f3 n1" && bench.state?.fileDiffers == false)
    }

    @Test("A rollback mends a broken file, also when that text is in force")
    func rollbackMends() {
        var bench = ConfigBench.running("f1 n1")
        bench.file("?")
        let effects = bench.apply("f1 n1", origin: .rollback).effects
        #expect(effects.contains(.writeFile(ConfigText("f1 n1"))))
        #expect(bench.state?.valid == true && bench.state?.revision == 1 && bench.state?.fileDiffers == false)
    }

    @Test("A rollback to the number in force takes back what waits, also from the file")
    func takenBack() {
        var bench = ConfigBench.running("f1 n1")
        bench.record(front, true)
        bench.file("f2 n1")
        let taken = bench.apply("f1 n1", origin: .rollback)
        #expect(taken.effects.contains(.markSuperseded(2)) && taken.effects.contains(.writeFile(ConfigText("f1 n1"))))
        #expect(taken.answer?.result?.revision == 1 && taken.answer?.result?.pending == nil)
        #expect(bench.state?.pending == nil && bench.state?.fileDiffers == false)
    }

    @Test("A disk that refuses: nothing is said to be in force, it is tried again, and it waits for recordings again")
    func diskRefuses() {
        var bench = ConfigBench.running("f1 n1")
        bench.diskError = CodedError(.storageFull, "full")
        let answer = bench.apply("f2 n1").answer
        #expect(answer?.error?.code == .storageFull && answer?.result?.pending?.revision == 2)
        #expect(bench.state?.revision == 1 && bench.state?.pending?.reason.contains("full") == true)
        bench.diskError = nil
        bench.record(front, true)
        bench.step(.woke, after: ConfigCore.retryAfter)
        #expect(bench.active.isEmpty, "front records by now")
        bench.record(front, false)
        #expect(bench.active == ["f2 n1"] && bench.state?.revision == 2)
    }
}
