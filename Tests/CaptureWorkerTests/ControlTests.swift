import BusContract
import CaptureWorkerCore
import Domain
import Testing

/// A webcam's controls: who asks is answered once, by what the device said.
@Suite struct ControlTests {
    private static let brightness = ControlName(rawValue: "brightness")

    private static func state(_ value: Int) throws -> ControlsState {
        ControlsState(controls: [
            CameraControl(
                name: try #require(brightness), kind: .number, value: value, min: 0, max: 255, step: 1, default: 128)
        ])
    }

    private static func webcam() -> CoreBench {
        var bench = CoreBench { $0.hasControls = true }
        _ = bench.step(.started(nil, tail: nil))
        return bench
    }

    private static func command(_ value: Int) throws -> CameraCommand {
        .controls(ControlsCommand(settings: [try #require(brightness): .number(value)]))
    }

    @Test func theDevicesAnswerIsPublishedAndReplied() throws {
        var bench = Self.webcam()
        let (token, effects) = bench.command(try Self.command(200))
        #expect(effects == [.turnControls([try #require(Self.brightness): .number(200)], token)])
        let state = try Self.state(200)
        let result = ControlsResult(camera: CoreBench.camera, controls: state.controls)
        #expect(
            bench.step(.controlsTurned(.success(state), token))
                == [.publishControls(state), .reply(token, .controls(result))])
    }

    @Test func aRefusalOfTheDeviceIsTheAnswer() throws {
        var bench = Self.webcam()
        let (token, _) = bench.command(try Self.command(999))
        let error = CodedError(.invalidArgument, "brightness: expected 0 to 255")
        #expect(bench.step(.controlsTurned(.failure(error), token)) == [.refuse(token, error)])
    }

    /// What the camera took is how it stands, whatever it refused beside it.
    @Test func whatWasTakenInPartIsPublishedAndTheRestIsRefused() throws {
        var bench = Self.webcam()
        let (token, _) = bench.command(try Self.command(200))
        let state = try Self.state(200)
        let error = CodedError(.sourceUnavailable, "zoom: the camera refuses the value")
        #expect(
            bench.step(.controlsTurned(.success(state), token, refusal: error))
                == [.publishControls(state), .refuse(token, error)])
    }

    @Test func whatWasReadAfterOpeningIsPublished() throws {
        var bench = Self.webcam()
        let state = try Self.state(128)
        #expect(bench.step(.controlsRead(state)) == [.publishControls(state)])
    }

    @Test func anotherSourceHasNoControls() throws {
        var bench = CoreBench()
        _ = bench.step(.started(nil, tail: nil))
        let (token, effects) = bench.command(try Self.command(1))
        #expect(effects.refusal(of: token) == .invalidArgument)
        #expect(!effects.contains { if case .turnControls = $0 { true } else { false } })
    }

    @Test func onlySoManyChangesAreUnderWay() throws {
        var bench = Self.webcam()
        let first = bench.command(try Self.command(0)).token
        for value in 1..<WorkerCore.turningMax { _ = bench.command(try Self.command(value)) }
        let (late, effects) = bench.command(try Self.command(99))
        #expect(effects.refusal(of: late) == .conflict)
        _ = bench.step(.controlsTurned(.success(try Self.state(0)), first))
        let (next, accepted) = bench.command(try Self.command(100))
        #expect(accepted == [.turnControls([try #require(Self.brightness): .number(100)], next)])
    }
}
