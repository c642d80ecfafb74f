package import Domain
internal import Glibc
internal import Synchronization

/// Shows the supervisor that this process lives: one NUL byte on standard output now and then, which no line of a log
/// holds. It costs a system call in `every`, and needs neither broker nor network.
///
/// It beats from the pool on which the service runs, and only while every inbox that it watches is worked off: a
/// process that is stopped, a pool that is blocked and a loop that hangs all fall silent. A loop that waits for a slow
/// disk is given `stuckAfter`, since a worker that is killed loses frames.
package final class Heart: Sendable {
    package static let every: Duration = .seconds(3)
    /// The kernel may wait so much longer, to wake once for several.
    package static let tolerance: Duration = .seconds(1)
    package static let stuckAfter: Duration = .seconds(60)
    /// The byte that is a beat.
    package static let beat: UInt8 = 0

    private let watched = Mutex<[@Sendable (MonotonicTime) -> Duration]>([])

    package init() {}

    package func watch<Input>(_ inbox: Inbox<Input>) {
        watched.withLock { $0.append { [weak inbox] now in inbox?.busy(at: now) ?? .zero } }
    }

    /// Whether every watched loop goes on.
    package func isWell(at now: MonotonicTime) -> Bool {
        watched.withLock { $0 }.allSatisfy { $0(now) < Self.stuckAfter }
    }

    /// Until the process ends.
    func start() {
        Task {
            repeat {
                if isWell(at: ServiceClock.now().monotonic) {
                    var byte = Self.beat
                    // A supervisor that does not read any more is no reason to wait; its pipe does not block.
                    _ = write(STDOUT_FILENO, &byte, 1)
                }
            } while (try? await Task.sleep(for: Self.every, tolerance: Self.tolerance)) != nil
        }
    }
}
