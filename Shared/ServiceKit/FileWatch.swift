internal import Domain
internal import Glibc
internal import Synchronization

/// Tells when some files have changed: by inotify on their folders, so that a rename over a file is seen as well as a
/// write into it, and by looking every few seconds where inotify cannot be had or sees nothing, as on a network disk or
/// through a link.
///
/// A change is told when the files have been quiet for `quiet`; a writer that pauses longer half-way is told twice.
/// Nothing is told of a file that only was opened. What is in the files does not belong here. Has a thread of its own
/// until `stop`.
package final class FileWatch: Sendable {
    package static let quietDefault: Duration = .milliseconds(300)
    package static let intervalDefault: Duration = .seconds(5)
    /// A file that never is quiet is told of all the same.
    package static let quietAfterMax: Duration = .seconds(3)

    /// What tells one state of a file from another without reading it.
    private struct Stamp: Equatable {
        var device: UInt64
        var inode: UInt64
        var bytes: Int64
        var seconds: Int
        var nanoseconds: Int

        init?(_ path: String) {
            var status = stat()
            guard stat(path, &status) == 0 else { return nil }
            device = UInt64(status.st_dev)
            inode = UInt64(status.st_ino)
            bytes = Int64(status.st_size)
            seconds = status.st_mtim.tv_sec
            nanoseconds = status.st_mtim.tv_nsec
        }
    }

    private let paths: [String]
    private let quiet: Duration
    private let interval: Duration
    private let wakePipe: (read: Int32, write: Int32)
    private let isStopped = Mutex(false)

    /// Begins to watch; what changes after this call is told.
    /// - Parameters:
    ///   - quiet: zero for files that are replaced whole.
    ///   - onChange: called on the watch's thread.
    package init(
        _ paths: [String], quiet: Duration = quietDefault, interval: Duration = intervalDefault,
        onChange: @escaping @Sendable () -> Void
    ) {
        self.paths = paths
        self.quiet = quiet
        self.interval = interval
        var ends: [Int32] = [-1, -1]
        // Without a pipe the thread wakes by its interval alone.
        if pipe(&ends) == 0 { for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) } }
        wakePipe = (ends[0], ends[1])
        let notices = Self.notices(of: paths)
        let seen = paths.map(Stamp.init)
        BlockingThread.start("watch") { [self] in
            run(notices, seen, onChange)
            for file in [notices, wakePipe.read] where file >= 0 { close(file) }
        }
    }

    /// Ends the thread soon; nothing is told after that but what is on its way.
    package func stop() {
        isStopped.withLock { isStopped in
            guard !isStopped else { return }
            isStopped = true
            if wakePipe.write >= 0 { close(wakePipe.write) }
        }
    }

    private var stopped: Bool { isStopped.withLock { $0 } }

    /// The inotify descriptor; -1 where there is none.
    private static func notices(of paths: [String]) -> Int32 {
        let file = inotify_init()
        guard file >= 0 else { return -1 }
        _ = fcntl(file, F_SETFD, FD_CLOEXEC)
        _ = fcntl(file, F_SETFL, O_NONBLOCK)
        let folders = Set(paths.map { $0.split(separator: "/").dropLast().map { "/" + $0 }.joined() })
        let mask = IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ATTRIB
        // A folder that cannot be watched is looked at by the interval.
        for folder in folders { _ = inotify_add_watch(file, folder.isEmpty ? "/" : folder, UInt32(mask)) }
        return file
    }

    private func run(_ notices: Int32, _ first: [Stamp?], _ onChange: () -> Void) {
        var told = first
        while !stopped {
            wait(notices, for: interval)
            var now = paths.map(Stamp.init)
            guard now != told else { continue }
            let end = ServiceClock.now().monotonic + Self.quietAfterMax
            while !stopped, ServiceClock.now().monotonic < end {
                let before = now
                pause(quiet)
                now = paths.map(Stamp.init)
                if now == before { break }
            }
            guard !stopped else { return }
            told = now
            onChange()
        }
    }

    /// Until something happens in the folders, the time is over, or the watch is stopped.
    private func wait(_ notices: Int32, for time: Duration) {
        var files = [notices, wakePipe.read].filter { $0 >= 0 }.map {
            pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
        }
        _ = poll(&files, nfds_t(files.count), Int32(clamping: time.nanoseconds / 1_000_000))
        guard notices >= 0 else { return }
        var buffer = [UInt8](repeating: 0, count: 4096)
        // Only that something happened counts; what, the stamps say.
        while read(notices, &buffer, buffer.count) > 0 {}
    }

    private func pause(_ time: Duration) {
        var file = pollfd(fd: wakePipe.read, events: Int16(POLLIN), revents: 0)
        _ = poll(&file, nfds_t(wakePipe.read >= 0 ? 1 : 0), Int32(clamping: time.nanoseconds / 1_000_000))
    }
}
