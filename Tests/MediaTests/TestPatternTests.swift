import Domain
import Media
import Synchronization
import TestSupport
import Testing

@Suite struct TestPatternTests {
    @Test(arguments: [(64, 64), (320, 180), (640, 360), (1920, 1080)])
    func theStripTellsTheNumber(width: Int, height: Int) {
        let painter = TestPatternPainter(width: width, height: height)
        var luma = [UInt8](repeating: 0, count: width * height)
        var u = [UInt8](repeating: 0, count: width * height / 4)
        var v = u
        for number: UInt32 in [0, 1, 12_345, 0xffff, 0x8000_0001, .max] {
            let read = luma.withUnsafeMutableBufferPointer { luma in
                u.withUnsafeMutableBufferPointer { u in
                    v.withUnsafeMutableBufferPointer { v -> UInt32? in
                        guard let y = luma.baseAddress, let u = u.baseAddress, let v = v.baseAddress else { return nil }
                        painter.paint(
                            number, luma: .init(bytes: y, stride: width), u: .init(bytes: u, stride: width / 2),
                            v: .init(bytes: v, stride: width / 2))
                        return painter.number(luma: y, stride: width)
                    }
                }
            }
            #expect(read == number)
        }
    }

    @Test func numbersSurviveRecordingAndDecoding() throws {
        let fixtures = try MediaFixtures()
        var copy = MediaCopy(storage: fixtures.folder, segmentSeconds: .milliseconds(500))
        copy.framesMax = 75
        try copy.run(NumberedPattern.source(fps: 60, encoder: EncoderSettings(gop: .milliseconds(250))))
        #expect(copy.reports.count >= 2)
        let numbers = try copy.paths.flatMap { try TestPatternReading.numbers(in: $0) }
        #expect(numbers == Array(0..<75))
    }

    @Test func anAskedForKeyFrameComesNext() throws {
        let source = NumberedPattern.source()
        defer { source.close() }
        _ = try source.open()
        var keys: [Int] = []
        for index in 0..<12 {
            if index == 7 { source.requestKeyFrame() }
            guard case .packet(let packet) = try source.next() else { continue }
            if packet.isKey { keys.append(index) }
        }
        #expect(keys == [0, 7])
    }

    /// Its first frame has come.
    private static func playing(by clock: SteppedClock) throws -> any MediaSource {
        let source = MediaSources.make(
            .testPattern(.init(width: 64, height: 64, fps: 25)), encoder: EncoderSettings(gop: .seconds(60)),
            audio: false, openTimeout: .seconds(5), stallTimeout: .seconds(5), clock: { clock.now })
        _ = try source.open()
        guard case .packet = try source.next() else { throw CodedError(.internal, "no frame") }
        return source
    }

    /// A process that was stopped, or a machine that is too slow.
    @Test func framesThatAreTooLateAreSkippedAndCounted() throws {
        let clock = SteppedClock()
        let source = try Self.playing(by: clock)
        defer { source.close() }
        clock.step(by: .milliseconds(1000))
        guard case .packet(let late) = try source.next() else { throw CodedError(.internal, "no frame") }
        #expect(late.pts == 1, "what is less than a second late is still painted")
        clock.step(by: .seconds(8))
        guard case .skipped(let frames) = try source.next() else { throw CodedError(.internal, "nothing skipped") }
        #expect(frames == 223)
        guard case .packet(let next) = try source.next() else { throw CodedError(.internal, "no frame") }
        #expect(next.isKey && next.pts == 225, "the pattern's own numbers show what is missing")
    }

    /// Wherever in its work the process is held, no frame says that it came after the silence.
    @Test(arguments: 1...5) func aFrameBeforeASilenceKeepsItsTime(reading: Int) throws {
        let clock = SteppedClock()
        let source = try Self.playing(by: clock)
        defer { source.close() }
        clock.step(by: .milliseconds(40))
        clock.step(by: .seconds(8), atReading: reading)
        var hasSkipped = false
        for _ in 0..<5 {
            switch try source.next() {
            case .skipped: hasSkipped = true
            case .packet(let packet):
                let number = try #require(packet.pts)
                let due = MonotonicTime.zero + .milliseconds(40 * number)
                #expect(packet.arrival - due <= .seconds(1))
                clock.step(by: .milliseconds(40))
            case .formatChanged, .end: Issue.record("neither was to come")
            }
        }
        #expect(hasSkipped)
    }

    /// Stands still but for its steps.
    final class SteppedClock: Sendable {
        private struct State {
            var time = MonotonicTime.zero
            var readings = 0
            var step: (reading: Int, span: Duration)?
        }
        private let state = Mutex(State())

        var now: MonotonicTime {
            state.withLock { state in
                state.readings += 1
                if let step = state.step, state.readings >= step.reading {
                    state.time = state.time + step.span
                    state.step = nil
                }
                return state.time
            }
        }

        func step(by span: Duration) { state.withLock { $0.time = $0.time + span } }
        /// The n-th reading from now finds the step done.
        func step(by span: Duration, atReading number: Int) {
            state.withLock { $0.step = ($0.readings + number, span) }
        }
    }

    @Test func aPatternWaitingForItsFrameCanBeInterrupted() throws {
        let source = MediaSources.make(
            .testPattern(.init(width: 320, height: 180, fps: 1)), encoder: EncoderSettings(), audio: false,
            openTimeout: .seconds(5), stallTimeout: .seconds(5))
        defer { source.close() }
        _ = try source.open()
        _ = try source.next()
        source.interrupt()
        #expect(throws: CodedError(.sourceUnavailable, "the source was interrupted")) { try source.next() }
    }

    @Test func anUnknownPresetIsRefused() {
        let source = MediaSources.make(
            .testPattern(.init()), encoder: EncoderSettings(preset: "sluggish"), audio: false,
            openTimeout: .seconds(1), stallTimeout: .seconds(1))
        #expect(throws: CodedError.self) { try source.open() }
    }
}
