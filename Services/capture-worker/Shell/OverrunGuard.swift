internal import CaptureWorkerCore
internal import Domain

/// What a disk that does not keep up costs a source that keeps time: packets at the end of the recorder's queue, whole
/// groups of pictures and counted.
///
/// `CapturePipeline` owns one and asks it before each packet, under its lock.
struct OverrunGuard {
    /// From the loss until frames are taken again.
    private(set) var isOn = false

    /// Ends the open segment when the queue is full, and lets the next one begin when it has drained.
    ///
    /// - Parameters:
    ///   - time: of the packet if it is a frame, else of the last one before it.
    ///   - isKey: whether a segment can begin with the packet.
    /// - Returns: the session that loses what comes from here on.
    mutating func packetComes(
        at time: MonotonicTime, isKey: Bool, queue: RecorderQueue, cutter: inout SegmentCutter
    ) -> SessionID? {
        guard let session = cutter.session else { return nil }
        if isOn, !cutter.isOpen {
            guard isKey, queue.isLow else { return nil }
            isOn = false
            cutter.allowOpening()
            return nil
        }
        guard !queue.hasRoom else { return nil }
        isOn = true
        cutter.lose(.overrun, at: time, mayOpen: false)
        queue.put(.close(.error))
        return session
    }
}
