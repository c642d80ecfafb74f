internal import Domain
internal import Glibc

/// Where the embedded broker of a node keeps its things. Supervisor and clients compute the same places from
/// `state_dir` alone, so nobody has to tell anybody.
package struct EmbeddedBrokerPaths: Sendable, Hashable {
    /// Broker configuration and persistence.
    package let folder: String
    /// The folder of the socket, mode 0700.
    package let socketFolder: String
    package let socket: String

    package init(stateDir: String) {
        folder = stateDir + "/broker"
        let near = folder + "/socket/mqtt"
        if near.utf8.count <= BrokerURL.socketPathBytesMax, !near.contains(where: \.isWhitespace) {
            socket = near
            socketFolder = folder + "/socket"
        } else {
            // A deep state folder does not fit in a socket address, and mosquitto ends one at a space. /tmp rather than
            // $XDG_RUNTIME_DIR, since a login shell and a system service must come to the same place; whoever creates
            // the folder checks its owner.
            socketFolder = "/tmp/framekeeper-\(getuid())-\(FNV1a.digest(Array(stateDir.utf8)))"
            socket = socketFolder + "/mqtt"
        }
    }
}
