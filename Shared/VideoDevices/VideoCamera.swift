internal import CV4LShim
package import Domain
package import Media
internal import Synchronization

/// A camera at this machine, through libv4l2.
///
/// Owns the open device and its stream. Invariants: what is open is the camera of the configured name, or the one that
/// was open under that name before it was plugged in again; its mode is the nearest to the wish; every picture that the
/// driver lost, and every one that came damaged, is counted in the picture after it. Raw pictures are lent out of the
/// driver's memory while it keeps enough of it, else copied.
///
/// Unchecked Sendable because of `CameraDevice`'s rule: one thread opens, reads and closes; the calls from elsewhere
/// touch the wake signal and the handle's lock alone.
package final class VideoCamera: CameraDevice, @unchecked Sendable {
    /// Between two looks at a device that says it is ready and gives nothing: a quarter of its interval, within these.
    private static let emptyPauses: ClosedRange<Duration> = .milliseconds(1) ... .milliseconds(10)

    private let wish: SourceAddress.V4L2Source
    private let memory: CameraMemory
    private let clock: MonotonicClock
    private let wake = WakeSignal()
    private let keyRequest = KeyRequest()
    private var handle: DeviceHandle?
    private var stream: DeviceStream?
    private var camera: CameraFormat?
    private var stride = 0
    private var moments = BufferClock()
    private var sequence = SequenceWatch()
    private var lost = 0
    private var silence: StallTimeout
    private var takenAt: MonotonicTime?

    /// - Parameter stallTimeout: for a picture, until the camera's own pace is known.
    package init(
        _ wish: SourceAddress.V4L2Source, memory: CameraMemory, stallTimeout: Duration,
        clock: @escaping MonotonicClock = SystemClock.now
    ) {
        self.wish = wish
        self.memory = memory
        self.clock = clock
        silence = StallTimeout(initial: stallTimeout)
    }

    package func interrupt() { wake.interrupt() }
    package func requestKeyFrame() { keyRequest.want() }

    package func close() {
        stream?.stop()
        stream = nil
        handle = nil
    }

    // MARK: Opening

    package func open() throws(CodedError) -> CameraFormat {
        guard !wake.isInterrupted else { throw wake.reason }
        let handle = try CameraSearch(memory: memory).open(wish.path)
        guard !handle.isBusy else { throw DeviceFault.busy(handle.path) }
        let choice = try choose(handle)
        let format = try handle.setFormat(choice)
        let rate = handle.setRate(choice.rate)
        guard let coding = format.format.coding else {
            throw CodedError(.sourceUnavailable, "\(handle.path) insists on \(format.format), which is not read here")
        }
        let refused = handle.set(memory.controls)
        memory.noteRefused(refused)
        var input = SourceInput(
            device: handle.path, format: format.format.description, width: format.width, height: format.height,
            fps: rate?.perSecond, wanted: wanted(format, rate))
        input.remarks = refused.keys.sorted().compactMap { refused[$0]?.message }
        let camera = CameraFormat(
            coding: coding, width: format.width, height: format.height, frameRate: rate?.perSecond, input: input)
        stride = format.stride
        stream = try DeviceStream(handle)
        self.handle = handle
        self.camera = camera
        return camera
    }

    private func choose(_ handle: DeviceHandle) throws(CodedError) -> ModeChoice {
        let wish = ModeWish(wish)
        let modes = handle.modes(near: wish)
        guard let choice = ModeChoice.best(for: wish, among: modes) else {
            let formats = Set(modes.map(\.format.description)).sorted().joined(separator: ", ")
            let asked =
                wish.kind.map { "\($0.rawValue) is not among its formats" } ?? "none of its formats is read here"
            throw CodedError(.sourceUnavailable, "\(handle.path): \(asked): \(formats.isEmpty ? "none" : formats)")
        }
        return choice
    }

    /// What was asked for by name and is not what came.
    private func wanted(_ format: DeviceHandle.Format, _ rate: FrameRate?) -> String? {
        let wish = ModeWish(wish)
        let missesSize = wish.namesSize && (format.width, format.height) != (wish.width, wish.height)
        let missesRate = wish.namesRate && rate.map { $0.distance(to: wish.rate) >= 0.5 } ?? false
        var parts: [String] = []
        if missesSize { parts.append("\(wish.width)x\(wish.height)") }
        if missesRate { parts.append("\(parts.isEmpty ? "" : "at ")\(wish.rate) fps") }
        return parts.isEmpty ? nil : parts.joined(separator: " ")
    }

    // MARK: Pictures

    package func next() throws(CodedError) -> CameraPicture {
        guard let handle, let stream, let camera else { throw CodedError(.internal, "the camera is not open") }
        keyRequest.send(to: handle)
        let deadline = clock() + silence.allowed
        while true {
            try wait(for: handle, until: deadline)
            guard let taken = try stream.take() else {
                // It said that it was ready. Whoever waits without a pause here burns a processor.
                let quarter = Duration.seconds(0.25 / max(1, camera.frameRate ?? 1))
                let pause = min(max(quarter, Self.emptyPauses.lowerBound), Self.emptyPauses.upperBound)
                guard wake.wait(until: min(deadline, clock() + pause), clock: clock) else { throw wake.reason }
                continue
            }
            noteLife()
            lost += sequence.lost(before: taken.sequence)
            guard !taken.isDamaged, taken.bytes.count >= leastBytes(camera) else {
                stream.giveBack(taken.index)
                lost += 1
                continue
            }
            return picture(taken, of: camera, from: stream)
        }
    }

    /// A damaged picture is a sign of life too.
    private func noteLife() {
        let now = clock()
        if let takenAt { silence.pictureCame(after: now - takenAt, at: now) }
        takenAt = now
    }

    private func wait(for handle: DeviceHandle, until deadline: MonotonicTime) throws(CodedError) {
        let left = (deadline - clock()).nanoseconds
        let ready = cv4l_wait(handle.descriptor, wake.descriptor, max(0, left))
        guard !wake.isInterrupted else { throw wake.reason }
        if ready == 0 || left <= 0 {
            throw CodedError(.timeout, "\(handle.path) sent no picture for \(silence.allowed.tenths)")
        }
    }

    /// Fewer bytes are a picture that lost its end on the way.
    private func leastBytes(_ camera: CameraFormat) -> Int {
        guard case .raw(let layout) = camera.coding else { return 1 }
        return layout.byteCount(width: camera.width, height: camera.height, stride: rowStride(layout, camera))
    }

    private func rowStride(_ layout: CameraFormat.RawLayout, _ camera: CameraFormat) -> Int {
        max(stride, layout.planes(width: camera.width, height: camera.height).first?.rowBytes ?? 0)
    }

    private func picture(
        _ taken: DeviceStream.Taken, of camera: CameraFormat, from stream: DeviceStream
    ) -> CameraPicture {
        let moment = moments.moment(stamp: taken.stamp, now: clock())
        defer { lost = 0 }
        let lent = CameraPicture(bytes: taken.bytes, arrival: moment, lost: lost) { stream.giveBack(taken.index) }
        guard case .raw(let layout) = camera.coding else { return lent }
        let whole = layout.byteCount(width: camera.width, height: camera.height)
        let stride = rowStride(layout, camera)
        let isPacked = layout.byteCount(width: camera.width, height: camera.height, stride: stride) == whole
        guard !isPacked || stream.queued < DeviceStream.buffersKept else { return lent }
        let copy = UnsafeMutableRawPointer.allocate(byteCount: whole, alignment: 32)
        layout.pack(taken.bytes.start, stride: stride, width: camera.width, height: camera.height, into: copy)
        let bytes = LentBytes(start: copy, count: whole)
        return CameraPicture(bytes: bytes, arrival: moment, lost: lost) { bytes.start.deallocate() }
    }
}

/// A wish for a key frame on its way to the thread that reads the camera.
private final class KeyRequest: Sendable {
    private let isWanted = Atomic<Bool>(false)
    private let isDeaf = Atomic<Bool>(false)

    func want() { isWanted.store(true, ordering: .releasing) }

    func send(to handle: DeviceHandle) {
        guard isWanted.exchange(false, ordering: .acquiring), !isDeaf.load(ordering: .relaxed) else { return }
        if !handle.forceKeyFrame() { isDeaf.store(true, ordering: .relaxed) }
    }
}
