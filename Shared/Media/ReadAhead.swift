internal import CAVShim
internal import Domain
internal import Glibc

/// Reads a source on a thread of its own, so that whoever takes its items may be slower than they come.
///
/// Owns the thread and a queue of items that have arrived. Invariants: at most `picturesMax` pictures wait, and
/// `itemsMax` items; a source that keeps time loses the oldest waiting picture when one too many comes, a `skipped` in
/// its place says so, and the oldest sound when there are too many items; any other is held back; changes of format are
/// never dropped, and where nothing else waits, they hold back any source; the source's end or error is the last item,
/// for good. One thread takes; any thread may stop it, and a stop returns when the thread has ended.
///
/// Unchecked Sendable: every stored variable is touched under `mutex` only; the C objects never move.
final class ReadAhead: @unchecked Sendable {
    /// More than a minute of sound.
    static let itemsMax = 4096

    private let source: any MediaSource
    private let picturesMax: Int
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var items: [Result<SourceItem, CodedError>] = []
    private var pictures = 0
    private var droppedCount = 0
    private var droppedSoundCount = 0
    private var isStopping = false
    private var thread: pthread_t?

    init(_ source: any MediaSource, picturesMax: Int) {
        self.source = source
        self.picturesMax = picturesMax
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    private func locked<Value>(_ body: () -> Value) -> Value {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    /// How many pictures have been dropped since the start.
    var dropped: Int { locked { droppedCount } }
    /// As `dropped`, of packets of sound.
    var droppedSound: Int { locked { droppedSoundCount } }
    /// How many items wait.
    var waiting: Int { locked { items.count } }

    func start() throws(CodedError) {
        var made = pthread_t()
        let keptAlive = Unmanaged.passRetained(self)
        let failure = pthread_create(
            &made, nil,
            { argument in
                guard let argument else { return nil }
                cav_name_thread("source-read")
                Unmanaged<ReadAhead>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, keptAlive.toOpaque())
        guard failure == 0 else {
            keptAlive.release()
            throw CodedError(.internal, "no thread to read the source", cause: String(cString: strerror(failure)))
        }
        locked { thread = made }
    }

    /// Interrupts the source and waits for the thread; nothing is taken after it.
    func stop() {
        interrupt()
        guard let thread = locked({ thread }) else { return }
        pthread_join(thread, nil)
        locked {
            self.thread = nil
            items = []
            pictures = 0
        }
    }

    func interrupt() {
        source.interrupt()
        locked {
            isStopping = true
            pthread_cond_broadcast(changed)
        }
    }

    /// Blocks for the next item.
    func take() throws(CodedError) -> SourceItem {
        let item: Result<SourceItem, CodedError> = locked {
            while items.isEmpty, !isStopping { pthread_cond_wait(changed, mutex) }
            guard !isStopping, let first = items.first else { return .failure(WakeSignal.interruption) }
            guard !Self.isLast(first) else { return first }
            items.removeFirst()
            if Self.isPicture(first) { pictures -= 1 }
            pthread_cond_broadcast(changed)
            return first
        }
        return try item.get()
    }

    private func run() {
        while true {
            let item: Result<SourceItem, CodedError>
            do throws(CodedError) { item = .success(try source.next()) } catch { item = .failure(error) }
            guard put(item) else { return }
        }
    }

    /// False when there is nothing more to read.
    private func put(_ item: Result<SourceItem, CodedError>) -> Bool {
        locked {
            while mustWait(item), !isStopping { pthread_cond_wait(changed, mutex) }
            if Self.isPicture(item) {
                if pictures >= picturesMax { dropOldest() } else { pictures += 1 }
            }
            if items.count >= Self.itemsMax, !Self.isLast(item) { dropOldestSound() }
            items.append(item)
            pthread_cond_broadcast(changed)
            return !Self.isLast(item) && !isStopping
        }
    }

    /// Under the lock.
    private func mustWait(_ item: Result<SourceItem, CodedError>) -> Bool {
        if Self.isLast(item) { return false }
        let isFull = items.count >= Self.itemsMax
        guard source.paces else { return isFull || Self.isPicture(item) && pictures >= picturesMax }
        return isFull && !items.contains(where: Self.isSound)
    }

    /// Under the lock.
    private func dropOldestSound() {
        guard let oldest = items.firstIndex(where: Self.isSound) else { return }
        items.remove(at: oldest)
        droppedSoundCount += 1
    }

    /// Under the lock. No picture lies before the oldest one, so what was dropped before it lies there as one item.
    private func dropOldest() {
        guard let oldest = items.firstIndex(where: Self.isPicture) else { return }
        droppedCount += 1
        for index in items[..<oldest].indices {
            guard case .success(.skipped(let frames)) = items[index] else { continue }
            items[index] = .success(.skipped(frames: frames + 1))
            items.remove(at: oldest)
            return
        }
        items[oldest] = .success(.skipped(frames: 1))
    }

    private static func isPicture(_ item: Result<SourceItem, CodedError>) -> Bool {
        if case .success(.packet(let packet)) = item { packet.track == .video } else { false }
    }

    private static func isSound(_ item: Result<SourceItem, CodedError>) -> Bool {
        if case .success(.packet(let packet)) = item { packet.track == .audio } else { false }
    }

    private static func isLast(_ item: Result<SourceItem, CodedError>) -> Bool {
        switch item {
        case .success(.packet), .success(.formatChanged), .success(.skipped): false
        case .success(.end), .failure: true
        }
    }
}
