internal import Glibc
internal import UnixSignals

/// What the outside tells a process: SIGTERM and SIGINT, and, for a supervised one, the end of its standard input,
/// which comes when the supervisor has died, however it died.
package enum ProcessSignals {
    /// Starts to watch and returns at once. A second signal makes the shutdown urgent. A closed pipe or terminal is an
    /// error of the call that met it, never the end of the process.
    package static func watch(_ shutdown: Shutdown, supervised: Bool) async {
        signal(SIGPIPE, SIG_IGN)
        let signals = await UnixSignalsSequence(trapping: [.sigterm, .sigint])
        Task {
            for await signal in signals { shutdown.request(signal == .sigint ? "SIGINT" : "SIGTERM") }
        }
        if supervised {
            BlockingThread.start("supervisor") {
                waitForEnd(of: STDIN_FILENO)
                shutdown.request("supervisor gone")
            }
        }
    }

    private static func waitForEnd(of file: Int32) {
        var buffer = [UInt8](repeating: 0, count: 64)
        while true {
            let count = read(file, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { return }
        }
    }
}
