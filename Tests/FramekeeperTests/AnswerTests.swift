import BusContract
import Domain
import FramekeeperCore
import Testing

@Suite("How long, and for whom, a command waits")
struct AnswerTests {
    private let front = CameraID(unchecked: "front")
    private let back = CameraID(unchecked: "back")
    private let hall = CameraID(unchecked: "hall")

    @Test("Longer than the worker takes until it says by itself what is wrong", arguments: AnswerTime.Wish.allCases)
    func patience(wish: AnswerTime.Wish) {
        var slow = LifecyclePolicies()
        slow.recording.startTimeout = .seconds(300)
        slow.viewing.startTimeout = .seconds(200)
        slow.snapshot.startTimeout = .seconds(100)
        let worker: (usual: Duration, slow: Duration) =
            switch wish {
            case .startRecording: (.seconds(10), .seconds(300))
            case .stopRecording: (CommandLimits.stopAnswerMax, CommandLimits.stopAnswerMax)
            case .rotate: (CommandLimits.rotationAnswerMax, CommandLimits.rotationAnswerMax)
            case .view: (.seconds(10), .seconds(200))
            case .snapshot: (.seconds(5), .seconds(100))
            }
        let usual = LifecyclePolicies()
        for (policies, answer) in [([usual], worker.usual), ([], worker.usual), ([usual, slow], worker.slow)] {
            let time = AnswerTime.within(wish, policies)
            #expect(time >= answer + AnswerTime.margin && time <= answer + .seconds(20))
        }
    }

    @Test("Each camera that is silent is named; one of another configuration stands for none of them")
    func silence() {
        var group = GroupAnswers(known: [front, back])
        #expect(group.silences == ["no answer from camera front", "no answer from camera back"])
        group.answer(from: front)
        group.answer(from: front)
        group.answer(from: hall)
        group.unknown()
        #expect(!group.isComplete && group.silences == ["no answer from camera back"])
        group.answer(from: back)
        #expect(group.isComplete && group.silences.isEmpty)
    }

    @Test("A refusal counts, though it does not say whose it is")
    func refusal() {
        var group = GroupAnswers(known: [front, back, hall])
        group.answer(from: back)
        group.refusal()
        #expect(!group.isComplete && group.silences == ["no answer from 1 of the cameras front, hall"])
        group.refusal()
        #expect(group.isComplete && group.silences.isEmpty)
        group.refusal()
        #expect(group.isComplete && group.silences.isEmpty)
    }

    @Test("Nobody knows when a group that the configuration does not name is complete, unless nobody belongs to it")
    func foreign() {
        var group = GroupAnswers(known: [])
        group.answer(from: hall)
        #expect(!group.isComplete && group.silences.isEmpty)
        group.unknown()
        #expect(group.isComplete)
    }
}
