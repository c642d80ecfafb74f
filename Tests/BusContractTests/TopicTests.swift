import BusContract
import Domain
import Testing

/// Topics print and parse back; what is not a topic of ours is nobody's.
@Suite struct TopicTests {
    private func roundTrip<M: BusMessage>(_ type: M.Type, _ address: M.Address, _ topic: String) {
        #expect(M.topic(for: address) == topic)
        #expect(M.address(from: topic) == address)
    }

    @Test func everyTopicPrintsAndParses() {
        let front = CameraID(unchecked: "front_2-b")
        let node = NodeID(unchecked: "attic")
        roundTrip(CameraAvailability.self, front, "cameras/front_2-b/availability")
        roundTrip(StreamState.self, front, "cameras/front_2-b/stream")
        roundTrip(RecordingState.self, front, "cameras/front_2-b/recording")
        roundTrip(StreamStats.self, front, "cameras/front_2-b/stats")
        roundTrip(SegmentEvent.self, front, "cameras/front_2-b/segment")
        roundTrip(GapEvent.self, front, "cameras/front_2-b/gap")
        roundTrip(CameraErrorEvent.self, front, "cameras/front_2-b/error")
        roundTrip(RotationState.self, front, "cameras/front_2-b/rotation")
        roundTrip(RecordingCommand.self, front, "cameras/front_2-b/recording/set")
        roundTrip(RotationCommand.self, front, "cameras/front_2-b/rotation/set")
        roundTrip(RestartCommand.self, front, "cameras/front_2-b/restart/set")
        roundTrip(StorageState.self, node, "storage/attic")
        roundTrip(StorageCommand.self, node, "storage/attic/set")
        roundTrip(
            ServiceState.self, ServiceAddress(.rotationService, InstanceID(unchecked: "attic")),
            "services/rotation-service/attic")
    }

    @Test(arguments: [
        "", "/", "cameras", "cameras/front", "cameras/front/stream/", "/cameras/front/stream", "cameras//stream",
        "cameras/Front/stream", "cameras/+/stream", "cameras/#", "cameras/../stream", "cameras/fr ont/stream",
        "cameras/front\u{0}/stream", "cameras/-front/stream", "cameras/\(String(repeating: "a", count: 64))/stream",
        "cameras/fr\u{f6}nt/stream", "cameras/front/Stream", "cameras/front/stream/set",
    ])
    func aForeignTopicHasNoAddress(_ topic: String) {
        #expect(StreamState.address(from: topic) == nil)
    }

    @Test func aCommandTopicNamesItsTarget() {
        func target(_ topic: String) -> CameraCommandTopic.Target? { CameraCommandTopic(topic: topic)?.target }
        #expect(target("cameras/front/recording/set") == .camera(CameraID(unchecked: "front")))
        #expect(CameraCommandTopic(topic: "cameras/front/recording/set")?.noun == "recording")
        #expect(target("groups/all/rotation/set") == .group(.all))
        #expect(target("cameras/FRONT/recording/set") == .invalidCamera("FRONT"))
        #expect(target("groups/../recording/set") == .invalidGroup(".."))
        #expect(target("groups/NO/rotation/set") == .invalidGroup("NO"))
        #expect(target("cameras/front/recording") == nil)
    }

    @Test func anAnswerGoesOnlyWhereItMay() {
        func isAllowed(_ topic: String) -> Bool { ReplyAddress.isAllowed(fromPayload: topic, root: "framekeeper") }
        #expect(isAllowed("framekeeper/replies/me"))
        #expect(isAllowed("framekeeper/replies/me/and/more"))
        for topic in [
            "", "replies/me", "framekeeper/replies", "framekeeper/replies/", "framekeeper/cameras/a/recording/set",
            "framekeeper/replies/+", "framekeeper/replies/#", "framekeeper/replies/a\u{0}", "$SYS/x",
            "framekeeper/replies/" + String(repeating: "x", count: 300), "other/replies/me",
        ] {
            #expect(!isAllowed(topic), "\(topic)")
        }
    }
}
