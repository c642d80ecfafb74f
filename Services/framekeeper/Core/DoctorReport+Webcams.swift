internal import BusContract
package import Domain

/// What the doctor says of cameras at this machine.
extension DoctorReport {
    /// What a device is, looked at from outside.
    package enum Webcam: Sendable, Hashable {
        /// With its name, and what it would deliver: `MJPG 1280x720 at 30 fps`; nil if nothing that is read here.
        case free(name: String, mode: String?)
        /// Who streams from it, as far as it can be seen from here: nobody of another user, or of another container.
        case busy(name: String, holders: [Holder])
        /// It is something else than a camera.
        case other
        case failed(CodedError)
    }

    package struct Holder: Sendable, Hashable, CustomStringConvertible {
        package var name: String
        package var pid: Int

        package init(name: String, pid: Int) {
            self.name = name
            self.pid = pid
        }

        package var description: String { "\(name) (pid \(pid))" }
    }

    /// The worker of a camera, as the bus knows it.
    package struct Worker: Sendable, Hashable {
        package var pid: Int
        /// The node that it streams from: another one than in the configuration if the camera was plugged in again.
        package var device: String?

        package init(pid: Int, device: String? = nil) {
            self.pid = pid
            self.device = device
        }

        /// Nil if it is not there: what it said last is of the past then.
        package init?(of camera: CameraID, on board: StatusBoard) {
            let service = board.services.first {
                $0.service == .captureWorker && $0.instance.rawValue == camera.rawValue
            }
            guard let presence = service?.presence, presence.state == .online else { return nil }
            pid = Int(presence.pid)
            let stream = board.cameras.first { $0.camera == camera }?.stream
            if let stream, [.active, .closing].contains(stream.state) { device = stream.input?.device }
        }
    }

    /// A camera whose source is `v4l2://`. That its own worker has it is as it should be.
    ///
    /// - Parameters:
    ///   - webcam: the node that the worker streams from, else the one that is configured.
    ///   - worker: nil if nobody knows of one; then any worker may be the camera's own.
    package mutating func webcam(_ camera: CameraID, _ webcam: Webcam, worker: Worker?) {
        let check = "device of \(camera)"
        if let device = worker?.device {
            let name = webcam.name.map { "\($0), " } ?? ""
            return add(check, .ok, "\(name)\(device), open by its worker")
        }
        let list = "framekeeper devices shows what is there"
        switch webcam {
        case .free(let name, let mode?): add(check, .ok, "\(name): \(mode)")
        case .free(let name, nil): add(check, .failed, "\(name) has no format that is read here", advice: list)
        case .busy(let name, let holders) where holders.contains { $0.pid == worker?.pid }:
            add(check, .ok, "\(name), open by its worker")
        case .busy(let name, let holders)
        where worker == nil && holders.contains { $0.name == ServiceName.captureWorker.rawValue }:
            add(check, .ok, "\(name), open by a worker")
        case .busy(let name, let holders):
            let who = holders.isEmpty ? "somebody" : holders.map(\.description).joined(separator: ", ")
            add(
                check, .failed, "\(name) is in use by \(who)",
                advice: "a camera serves one program: end the other one, or let it read the stream from here")
        case .other: add(check, .failed, "gives no pictures: metadata, an output or a codec", advice: list)
        case .failed(let error):
            add(
                check, .failed, "\(error)",
                advice: error.code == .unauthorized ? "then start framekeeper up again" : list)
        }
    }
}

extension DoctorReport.Webcam {
    fileprivate var name: String? {
        switch self {
        case .free(let name, _), .busy(let name, _): name
        case .other, .failed: nil
        }
    }
}
