import BusContract
import Domain
import RotationServiceCore
import TestSupport
import Testing

/// The whole service as a value: transcripts.
@Suite struct RotationCoreTests {
    static let attic = NodeID(unchecked: "attic")
    static let front = CameraID(unchecked: "front")
    private static let back = CameraID(unchecked: "back")
    static let main = StorageFolder("/rec")
    private static let other = StorageFolder("/other")
    static let session = SessionID(high: 1, low: 1)
    static let noon = WallTime(milliseconds: 1_772_366_400_000)

    static func at(_ seconds: Int) -> Now {
        Now(
            monotonic: MonotonicTime(nanoseconds: 1_000_000_000_000) + .seconds(seconds),
            wall: noon + .seconds(seconds))
    }

    static func settings(_ retention: RetentionLimits = RetentionLimits()) -> NodeSettings {
        NodeSettings(
            node: attic,
            cameras: [
                .init(
                    id: front, folder: main, rotation: RotationSettings(interval: .seconds(10)), retention: retention),
                .init(id: back, folder: main, rotation: RotationSettings(interval: .seconds(10)), retention: retention),
            ], folders: [.init(folder: main, retention: retention)], knownCameras: [CameraID(unchecked: "barn")])
    }

    static func segment(
        _ kind: SegmentEvent.Kind, _ index: Int, session: SessionID = session, node: NodeID = attic
    ) -> SegmentEvent {
        let path = SegmentPath(
            camera: front, startedAt: noon, session: session, index: index, isPartial: kind == .opened)
        return SegmentEvent(
            event: kind, session: session, index: index, node: node, file: path.relativePath, startedAt: noon,
            firstFrame: 0)
    }

    @Test func anEventThatNamesAnothersFileIsToldAndChangesNothing() {
        let core = CoreUnderTest(Self.settings())
        let event = Self.segment(.closed, 0)
        let effects = core.handle(.segmentReported(Self.back, event), at: Self.at(0))
        #expect(effects.contains(.tellImplausible(Self.back, event)))
        #expect(!effects.contains { if case .recordSegment = $0 { true } else { false } })
        #expect(
            core.handle(.segmentReported(Self.front, event), at: Self.at(0)).contains(
                .recordSegment(Self.main, Self.front, event)))
    }

    static func scans(_ effects: [RotationEffect]) -> [ScanScope] {
        effects.compactMap { if case .scan(_, let scope) = $0 { scope } else { nil } }
    }

    private static func refusals(_ effects: [RotationEffect]) -> [CodedError] {
        effects.compactMap { if case .refuse(_, let error, _) = $0 { error } else { nil } }
    }

    /// A core that has started, scanned and looked at its storage.
    static func settled(_ settings: NodeSettings = settings()) -> CoreUnderTest {
        let core = CoreUnderTest(settings)
        _ = core.handle(.started, at: at(0))
        for folder in settings.folders {
            _ = core.handle(.scanEnded(folder.folder, .everything, .success(ScanCounts())), at: at(0))
            _ = core.handle(
                .inventoryTaken(
                    folder.folder, .success(Inventory(cameras: [], totalBytes: 9_000_000_000, freeBytes: 5_000_000_000))
                ),
                at: at(0))
        }
        return core
    }

    @Test func aStartTellsThePlansScansAndLooks() {
        let core = CoreUnderTest(Self.settings())
        let plan = RotationState(intervalSeconds: 10, align: .clock)
        #expect(
            core.handle(.started, at: Self.at(0)) == [
                .publishPlan(Self.back, plan), .publishPlan(Self.front, plan), .scan(Self.main, .everything),
                .takeInventory(Self.main),
            ])
    }

    @Test func aRecordingIsPlannedCommandedAndLeftAlone() {
        let core = Self.settled()
        let recording = RecordingState(state: .recording, session: Self.session, since: Self.noon)
        var effects = core.handle(.recordingReported(Self.front, recording), at: Self.at(3))
        let planned = RotationState(intervalSeconds: 10, align: .clock, nextAt: Self.noon + .seconds(10))
        #expect(effects.contains(.publishPlan(Self.front, planned)))
        #expect(effects.contains(.endSessions(Self.main, Self.front, except: Self.session)))
        effects = core.handle(.woke, at: Self.at(9))
        #expect(
            effects.contains(
                .commandRotation(
                    Self.front, at: Self.noon + .seconds(10), expiry: RotationPlan.leadMax + RotationPlan.commandExpiry)
            ))
        effects = core.handle(.woke, at: Self.at(10))
        #expect(
            effects.contains(
                .publishPlan(
                    Self.front,
                    RotationState(intervalSeconds: 10, align: .clock, nextAt: Self.noon + .seconds(20)))))
        effects = core.handle(.recordingReported(Self.front, RecordingState(state: .off)), at: Self.at(12))
        #expect(effects.contains(.endSessions(Self.main, Self.front, except: nil)))
        #expect(effects.contains(.publishPlan(Self.front, RotationState(intervalSeconds: 10, align: .clock))))
    }

    @Test func theWakeIsNeverLaterThanTheNextCommand() {
        let core = Self.settled()
        let recording = RecordingState(state: .recording, session: Self.session, since: Self.noon)
        var wake: MonotonicTime? = Self.at(3).monotonic
        func note(_ effects: [RotationEffect]) {
            for case .wake(let time) in effects { wake = time }
        }
        note(core.handle(.recordingReported(Self.front, recording), at: Self.at(3)))
        var commands = 0
        var now = Self.at(3)
        for _ in 0..<60 {
            guard let time = wake else {
                Issue.record("nobody wakes the service")
                return
            }
            now = now + max(.zero, time - now.monotonic)
            let effects = core.handle(.woke, at: now)
            note(effects)
            for case .commandRotation(_, let at, _) in effects {
                commands += 1
                #expect(at - now.wall == .seconds(1))
            }
            if effects.contains(.takeInventory(Self.main)) {
                note(
                    core.handle(
                        .inventoryTaken(
                            Self.main,
                            .success(Inventory(cameras: [], totalBytes: 9_000_000_000, freeBytes: 5_000_000_000))),
                        at: now))
            }
        }
        #expect(commands >= 10)
    }

    @Test func anIdleServiceSleepsUntilItsNextLook() {
        let core = Self.settled()
        #expect(core.handle(.woke, at: Self.at(1)) == [.wake(Self.at(5).monotonic)], "one more look after the scan")
        #expect(core.handle(.woke, at: Self.at(5)).contains(.takeInventory(Self.main)))
        let taken = Inventory(cameras: [], totalBytes: 9_000_000_000, freeBytes: 5_000_000_000)
        #expect(
            core.handle(.inventoryTaken(Self.main, .success(taken)), at: Self.at(5)) == [.wake(Self.at(65).monotonic)])
    }

    @Test func eventsOfThisNodeGoToTheLedgerEachTimeTheyCome() {
        let core = Self.settled()
        let opened = Self.segment(.opened, 0)
        for _ in 0..<2 {
            let effects = core.handle(.segmentReported(Self.front, opened), at: Self.at(1))
            #expect(effects.first == .recordSegment(Self.main, Self.front, opened))
        }
        let gap = GapEvent(session: Self.session, from: Self.noon, to: Self.noon + .seconds(1), cause: .sourceLost)
        #expect(
            core.handle(.gapReported(Self.front, gap), at: Self.at(1)).first == .recordGap(Self.main, Self.front, gap))
        let strange = Self.segment(.opened, 0, node: NodeID(unchecked: "cellar"))
        #expect(core.handle(.segmentReported(Self.front, strange), at: Self.at(1)) == [])
        #expect(core.handle(.segmentReported(CameraID(unchecked: "barn"), opened), at: Self.at(1)) == [])
    }

    // MARK: Scans

    @Test func aSegmentThatStaysOpenBesideAYoungerOneIsScannedFor() {
        let core = Self.settled()
        _ = core.handle(.segmentReported(Self.front, Self.segment(.opened, 0)), at: Self.at(0))
        _ = core.handle(.segmentReported(Self.front, Self.segment(.opened, 1)), at: Self.at(10))
        #expect(Self.scans(core.handle(.woke, at: Self.at(39))) == [])
        #expect(Self.scans(core.handle(.woke, at: Self.at(40))) == [.camera(Self.front)])
        _ = core.handle(.scanEnded(Self.main, .camera(Self.front), .success(ScanCounts())), at: Self.at(41))
        #expect(Self.scans(core.handle(.woke, at: Self.at(90))) == [])
    }

    @Test func anOrdinaryRotationIsNotScannedFor() {
        let core = Self.settled()
        for index in 0..<4 {
            _ = core.handle(.segmentReported(Self.front, Self.segment(.opened, index)), at: Self.at(index * 10))
            _ = core.handle(.segmentReported(Self.front, Self.segment(.closed, index - 1)), at: Self.at(index * 10))
        }
        #expect(Self.scans(core.handle(.woke, at: Self.at(100))) == [])
    }

    @Test func aRepairIsAnsweredWhenAllFoldersAreDone() {
        var settings = Self.settings()
        settings.folders.append(.init(folder: Self.other))
        let core = Self.settled(settings)
        let token = CommandToken(number: 1)
        var counts = ScanCounts()
        counts.recovered = 1
        #expect(core.handle(.repairCommanded(token), at: Self.at(1)).contains(.scan(Self.main, .everything)))
        var effects = core.handle(.scanEnded(Self.main, .everything, .success(counts)), at: Self.at(2))
        #expect(!effects.contains { if case .reply = $0 { true } else { false } })
        effects = core.handle(.scanEnded(Self.other, .everything, .success(counts)), at: Self.at(3))
        #expect(
            effects.contains(
                .reply(
                    token,
                    StorageResult(node: Self.attic, segments: 0, recovered: 2, imported: 0, missing: 0, quarantined: 0))
            ))
    }

    @Test func aRepairThatComesDuringAScanWaitsForTheNext() {
        let core = Self.settled()
        _ = core.handle(.repairCommanded(CommandToken(number: 1)), at: Self.at(1))
        #expect(Self.scans(core.handle(.repairCommanded(CommandToken(number: 2)), at: Self.at(2))) == [])
        let effects = core.handle(.scanEnded(Self.main, .everything, .success(ScanCounts())), at: Self.at(3))
        let replied = effects.compactMap { if case .reply(let token, _) = $0 { token.number } else { nil } }
        #expect(replied == [1])
        #expect(Self.scans(effects) == [.everything])
        let failed = CodedError(.storageFailed, "gone")
        #expect(
            core.handle(.scanEnded(Self.main, .everything, .failure(failed)), at: Self.at(4))
                .contains(.refuse(CommandToken(number: 2), failed, camera: nil)))
    }

    // MARK: Storage

    private static func inventory(free: Int64, _ ages: [Int]) -> Inventory {
        let oldest = ages.enumerated().map { index, age in
            StoredSegment(
                camera: front, session: session, index: index, path: "front/\(index)",
                startedAt: noon - .seconds(age + 10), endedAt: noon - .seconds(age), bytes: 1000)
        }
        let newest = oldest.last?.startedAt ?? noon
        let cameras = [
            Inventory.Camera(camera: front, bytes: Int64(oldest.count) * 1000, newestAt: newest, oldest: oldest)
        ]
        return Inventory(cameras: cameras, totalBytes: 1_000_000_000, freeBytes: free)
    }

    @Test func anInventoryDeletesAndTellsTheState() {
        let core = CoreUnderTest(Self.settings(RetentionLimits(maxAge: .seconds(3600))))
        _ = core.handle(.started, at: Self.at(0))
        let inventory = Self.inventory(free: 500_000_000, [7200, 5000, 100])
        var effects = core.handle(.inventoryTaken(Self.main, .success(inventory)), at: Self.at(1))
        #expect(effects.first == .delete(Self.main, Array(inventory.cameras[0].oldest.prefix(2))))
        #expect(
            effects.contains(
                .publishStorage(
                    StorageState(
                        totalBytes: 1_000_000_000, freeBytes: 500_000_000, usedBytes: 3000,
                        oldestAt: inventory.oldestAt, status: .ok))))
        #expect(!core.handle(.woke, at: Self.at(100)).contains(.takeInventory(Self.main)), "it is still deleting")
        effects = core.handle(.deletionEnded(Self.main, .success(2)), at: Self.at(101))
        #expect(effects.contains(.takeInventory(Self.main)))
    }

    @Test func aDeletionThatFailsIsNotTriedWithoutAPause() {
        let core = CoreUnderTest(Self.settings(RetentionLimits(maxAge: .seconds(3600))))
        _ = core.handle(.started, at: Self.at(0))
        _ = core.handle(.inventoryTaken(Self.main, .success(Self.inventory(free: 500_000_000, [7200]))), at: Self.at(1))
        let refused = CodedError(.storageFailed, "read-only")
        let effects = core.handle(.deletionEnded(Self.main, .failure(refused)), at: Self.at(2))
        #expect(!effects.contains(.takeInventory(Self.main)))
        let states = effects.compactMap { if case .publishStorage(let state) = $0 { state.status } else { nil } }
        #expect(states == [.failed])
        #expect(core.handle(.woke, at: Self.at(62)).contains(.takeInventory(Self.main)))
    }

    @Test func statusSaysLowFullAndFailed() {
        func status(_ event: RotationEvent, _ retention: RetentionLimits = RetentionLimits()) -> StorageState.Status? {
            let core = CoreUnderTest(Self.settings(retention))
            _ = core.handle(.started, at: Self.at(0))
            _ = core.handle(.inventoryTaken(Self.main, .success(Self.inventory(free: 900_000_000, []))), at: Self.at(0))
            for case .publishStorage(let state) in core.handle(event, at: Self.at(1)) { return state.status }
            return nil
        }
        func taken(_ free: Int64) -> RotationEvent {
            .inventoryTaken(Self.main, .success(Self.inventory(free: free, [])))
        }
        let limits = RetentionLimits(minFree: ByteCount(400_000_000))
        #expect(status(taken(500_000_000), limits) == .ok)
        #expect(status(taken(300_000_000), limits) == .low)
        #expect(status(taken(1_000_000)) == .full)
        #expect(status(.inventoryTaken(Self.main, .failure(CodedError(.storageFailed, "gone")))) == .failed)
        #expect(status(.ledgerFailed(Self.main, CodedError(.storageFull, "no room"))) == .full)
    }

    /// Only where every folder keeps some space free, does the sum say anything of the node.
    @Test func theStateSaysWhatRetentionKeepsFree() {
        func kept(_ limits: RetentionLimits...) -> Int64? {
            var settings = Self.settings()
            settings.folders = limits.enumerated().map { index, limits in
                .init(folder: index == 0 ? Self.main : StorageFolder("/srv/\(index)"), retention: limits)
            }
            let core = CoreUnderTest(settings)
            _ = core.handle(.started, at: Self.at(0))
            var states: [StorageState] = []
            for folder in settings.folders {
                let inventory = Self.inventory(free: 900_000_000, [])
                let effects = core.handle(.inventoryTaken(folder.folder, .success(inventory)), at: Self.at(1))
                for case .publishStorage(let state) in effects { states.append(state) }
            }
            return states.last?.minFreeBytes
        }
        let (some, none) = (RetentionLimits(minFree: ByteCount(100_000_000)), RetentionLimits())
        #expect(kept(some) == 100_000_000 && kept(none) == nil)
        #expect(kept(some, some) == 200_000_000 && kept(some, none) == nil)
    }

    @Test func whatAFullLedgerMissedIsScannedFor() {
        let core = Self.settled()
        _ = core.handle(.ledgerFailed(Self.main, CodedError(.storageFull, "no room")), at: Self.at(0))
        #expect(Self.scans(core.handle(.woke, at: Self.at(30))) == [.everything])
        let effects = core.handle(.scanEnded(Self.main, .everything, .success(ScanCounts())), at: Self.at(31))
        let states = effects.compactMap { if case .publishStorage(let state) = $0 { state.status } else { nil } }
        #expect(states == [.ok], "the ledger is whole again")
    }

    // MARK: Cameras that do not exist

    @Test func onlyCamerasThatNobodyHasAreRefused() {
        let core = Self.settled()
        _ = core.handle(.busConnected, at: Self.at(0))
        _ = core.handle(.availabilityReported(CameraID(unchecked: "stray"), .offline), at: Self.at(1))
        for known in ["front", "barn", "stray"] {
            let event = RotationEvent.cameraCommanded(.camera(CameraID(unchecked: known)), CommandToken(number: 1))
            #expect(Self.refusals(core.handle(event, at: Self.at(5))) == [])
        }
        let ghost = CameraID(unchecked: "ghost")
        let effects = core.handle(.cameraCommanded(.camera(ghost), CommandToken(number: 2)), at: Self.at(5))
        #expect(
            effects.contains(
                .refuse(
                    CommandToken(number: 2), CodedError(.unknownCamera, "no camera 'ghost' in this cluster"),
                    camera: ghost)))
        let invalid = core.handle(
            .cameraCommanded(.invalid("../\u{0}etc" + String(repeating: "x", count: 9999)), CommandToken(number: 3)),
            at: Self.at(5))
        #expect(Self.refusals(invalid).first?.code == .unknownCamera)
        #expect(Self.refusals(invalid).first?.message.utf8.count ?? 999 < 100)
        #expect(!invalid.contains { if case .refuse(_, _, .some) = $0 { true } else { false } })
    }

    @Test func groupsAndNodesThatNobodyHasAreRefused() {
        var settings = Self.settings()
        settings.knownGroups = [GroupID(unchecked: "yard")]
        settings.knownNodes.insert(NodeID(unchecked: "cellar"))
        let core = CoreUnderTest(settings)
        _ = core.handle(.busConnected, at: Self.at(0))
        _ = core.handle(.peerReported(NodeID(unchecked: "shed"), isOnline: false), at: Self.at(1))
        func codes(_ target: CommandedCamera) -> [ErrorCode] {
            Self.refusals(core.handle(.cameraCommanded(target, CommandToken(number: 1)), at: Self.at(5))).map(\.code)
        }
        for name in ["yard", "all"] { #expect(codes(.group(GroupID(unchecked: name))) == []) }
        for name in ["cellar", "shed"] { #expect(codes(.node(NodeID(unchecked: name))) == []) }
        #expect(codes(.group(GroupID(unchecked: "ghosts"))) == [.unknownCamera])
        #expect(codes(.invalidGroup("..")) == [.invalidArgument])
        #expect(codes(.node(NodeID(unchecked: "moon"))) == [.invalidArgument])
        #expect(codes(.invalidNode("..")) == [.invalidArgument])
        // A worker with a file of its own may be in any group.
        _ = core.handle(.availabilityReported(CameraID(unchecked: "stray"), .online), at: Self.at(6))
        #expect(codes(.group(GroupID(unchecked: "ghosts"))) == [])
    }

    @Test func rightAfterAConnectTheAnnouncementsAreAwaited() {
        let core = Self.settled()
        _ = core.handle(.busConnected, at: Self.at(0))
        let stray = CameraID(unchecked: "stray")
        let effects = core.handle(.cameraCommanded(.camera(stray), CommandToken(number: 1)), at: Self.at(0))
        #expect(Self.refusals(effects) == [])
        #expect(effects.contains(.wake(Self.at(1).monotonic)))
        _ = core.handle(.availabilityReported(stray, .online), at: Self.at(0))
        #expect(Self.refusals(core.handle(.woke, at: Self.at(1))) == [])
    }

    @Test func ofSeveralServicesTheFirstAnswers() {
        let core = Self.settled()
        let ghost = RotationEvent.cameraCommanded(.invalid("X"), CommandToken(number: 1))
        _ = core.handle(.peerReported(NodeID(unchecked: "barn"), isOnline: true), at: Self.at(0))
        #expect(Self.refusals(core.handle(ghost, at: Self.at(5))).count == 1)
        _ = core.handle(.peerReported(NodeID(unchecked: "aaa"), isOnline: true), at: Self.at(0))
        #expect(Self.refusals(core.handle(ghost, at: Self.at(5))) == [])
        _ = core.handle(.peerReported(NodeID(unchecked: "aaa"), isOnline: false), at: Self.at(0))
        #expect(Self.refusals(core.handle(ghost, at: Self.at(5))).count == 1)
    }
}
