internal import BusContract
internal import Domain

/// What is known of one node: its storage, its media server, and where its free space is heading.
struct NodeBoard: Hashable, Sendable {
    private(set) var storage: StorageState?
    private(set) var storageText: String?
    private(set) var mediaServer: MediaServerState?
    private(set) var mediaServerText: String?
    private var free: [FreeSpace] = []

    private struct FreeSpace: Hashable, Sendable {
        var at: MonotonicTime
        var bytes: Int64
    }

    /// A day of looks; the trend of a day has seen day and night.
    static let looksMax = 144
    static let lookInterval: Duration = .seconds(600)
    /// Of less than this nothing can be said.
    static let trendMin: Duration = .seconds(1800)

    mutating func fold(_ state: StorageState, json: String, at now: MonotonicTime) {
        storage = state
        storageText = json
        if let last = free.last, now - last.at < Self.lookInterval { return }
        if free.count >= Self.looksMax { free.removeFirst() }
        free.append(FreeSpace(at: now, bytes: state.freeBytes))
    }

    mutating func fold(_ state: MediaServerState, json: String) {
        mediaServer = state
        mediaServerText = json
    }

    mutating func clearStorage() {
        storage = nil
        storageText = nil
        free = []
    }

    mutating func clearMediaServer() {
        mediaServer = nil
        mediaServerText = nil
    }

    var isKnown: Bool { storage != nil || mediaServer != nil }

    /// Seconds until the file system is full, if it goes on as over the last day; nil while it does not fill up, or
    /// while too little is known. What retention deletes is counted in: a full but tidy disk does not fill up.
    var secondsLeft: Double? {
        guard let first = free.first, let last = free.last, last.at - first.at >= Self.trendMin,
            let now = storage?.freeBytes
        else { return nil }
        let perSecond = (Double(first.bytes) - Double(last.bytes)) / (last.at - first.at).seconds
        return perSecond > 0 ? max(Double(now), 0) / perSecond : nil
    }
}
