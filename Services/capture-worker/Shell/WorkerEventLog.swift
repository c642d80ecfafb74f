internal import BusContract
internal import CaptureWorkerCore
internal import Domain
internal import Logging

/// What of a worker's events an operator reads in its log. Called by the worker's loop for each of them.
struct WorkerEventLog: Sendable {
    let logger: Logger

    func note(_ event: WorkerEvent) {
        switch event {
        case .segmentClosed(let closed):
            logger.info(
                "segment closed",
                metadata: [
                    "file": "\(closed.file)", "frames": "\(closed.frames)", "bytes": "\(closed.bytes)",
                    "reason": "\(closed.reason.rawValue)",
                ])
        case .sourceOpened(let facts, _):
            var metadata: Logger.Metadata = ["codec": "\(facts.codec)", "size": "\(facts.width)x\(facts.height)"]
            if let input = facts.input { metadata.merge(input.logged) { _, new in new } }
            logger.info("source open", metadata: metadata)
            note(facts.remarks)
        case .formatChanged(let facts, _): note(facts.remarks)
        case .sourceNoted(let notes, _): logger.info("source closed", metadata: Self.metadata(notes))
        case .sourceFailed(let error, _): logger.warning("source failed", metadata: ["error": "\(error)"])
        case .segmentLeft(let file, let error):
            logger.warning("segment left unfinished", metadata: ["file": "\(file)", "error": "\(error)"])
        case .storageFailed(_, let error): logger.error("storage failed", metadata: ["error": "\(error)"])
        case .publisherConnected: logger.info("published")
        case .publisherFailed(let error, _): logger.warning("not published", metadata: ["error": "\(error)"])
        case .snapshotTaken(_, .failure(let error)): logger.warning("no snapshot", metadata: ["error": "\(error)"])
        case .overran(_, let notes):
            logger.error(
                "frames lost: the disk or the encoder does not keep up, or the camera loses some",
                metadata: Self.metadata(notes))
        case .prerollCut(let wanted, let held):
            logger.warning(
                "the pre-roll is shorter than configured: its memory is full",
                metadata: ["wanted": "\(wanted.tenths)", "held": "\(held.tenths)"])
        case .stopDemanded(let cause): logger.info("stopping", metadata: ["cause": "\(cause)"])
        case .commanded(.restart(let command), _):
            logger.notice("restart demanded", metadata: ["reason": "\(command.reason ?? "none given")"])
        case .controlsUnread(let error): logger.info("controls not read", metadata: ["error": "\(error)"])
        case .controlsTurned(.failure(let error), _, _), .controlsTurned(.success, _, let error?):
            logger.notice("controls refused", metadata: ["error": "\(error)"])
        case .controlsRead, .controlsTurned, .started, .folderRefused, .commanded, .planReceived, .keyFrameCame,
            .sourceEnded, .segmentOpened, .storageProbed, .firstPartWritten, .sessionEnded, .readersReported,
            .readersCounted,
            .snapshotTaken(_, .success), .notRemembered, .woke:
            break
        }
    }

    private func note(_ remarks: [SourceRemark]) {
        for remark in remarks { logger.log(level: remark.isWarning ? .warning : .info, "\(remark.text)") }
    }

    private static func metadata(_ notes: [String]) -> Logger.Metadata {
        notes.isEmpty ? [:] : ["notes": "\(notes.joined(separator: "; "))"]
    }
}
