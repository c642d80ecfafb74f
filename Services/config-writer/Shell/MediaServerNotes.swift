internal import BusContract
internal import ConfigWriterCore
internal import Domain
internal import Logging
internal import MediaServer

/// What the log says of the media server. Names of settings, never their values: one of them may hold a password.
extension MediaServerNote {
    func log(to logger: Logger) {
        switch self {
        case .reached(let version): logger.info("media server reached", metadata: ["version": "\(version)"])
        case .lost(let error): logger.warning("media server lost", metadata: ["reason": "\(error)"])
        case .restarted: logger.info("media server restarted")
        case .repaired(.replace(let path), let keys):
            let what = keys.isEmpty ? "all" : keys.joined(separator: ",")
            logger.info("path set", metadata: ["path": "\(path)", "settings": "\(what)"])
        case .repaired(.nothing, _): break
        case .repaired(.delete(let path), _): logger.info("path deleted", metadata: ["path": "\(path)"])
        case .waits(let path): logger.info("path in use keeps other settings for now", metadata: ["path": "\(path)"])
        case .rejected(let path, let error):
            logger.error("path refused", metadata: ["path": "\(path)", "reason": "\(error)"])
        case .mode(.static): logger.warning("paths go into the media server's file")
        case .mode(.api): logger.info("paths go through the media server's API again")
        case .fileFailed(let error): logger.error("media server's file not written", metadata: ["reason": "\(error)"])
        }
    }
}

extension MediaServerFile.Report {
    func log(_ path: String, to logger: Logger) {
        guard isWritten else { return }
        logger.info("media server's file written", metadata: ["file": "\(path)"])
        if showsLogin {
            logger.warning(
                "others may read the media server's file, which has cameras' passwords in it",
                metadata: ["file": "\(path)"])
        }
        if let backup { logger.info("its original is kept", metadata: ["file": "\(backup)"]) }
        if !replaced.isEmpty {
            logger.warning(
                "paths of the file's author replaced", metadata: ["paths": "\(replaced.joined(separator: ","))"])
        }
        if !unknownKeys.isEmpty {
            logger.notice(
                "keys of another version left alone", metadata: ["keys": "\(unknownKeys.joined(separator: ","))"])
        }
    }
}

extension MediaServerFailure {
    init(_ fault: MediaServerFault) {
        let kind: Kind =
            switch fault {
            case .unreachable: .unreachable
            case .silent: .silent
            case .unauthorized, .notFound: .denied
            case .rejected: .rejected
            case .unreadable: .unreadable
            }
        self.init(kind, fault.coded)
    }
}
