/// What the health-monitor may do and what it calls trouble.
package struct HealthSettings: Hashable, Sendable, Codable {
    /// Whether it restarts the source of a camera whose worker has not noticed that nothing comes.
    package var restart: Bool
    /// Between two restarts of one camera.
    package var backoffFirst: Duration
    package var backoffMost: Duration
    /// A storage that will be full sooner is a warning.
    package var diskWarning: Duration
    /// Clocks that lie further apart are a warning.
    package var clockOffsetMax: Duration

    package init(
        restart: Bool = true, backoffFirst: Duration = .seconds(10), backoffMost: Duration = .seconds(600),
        diskWarning: Duration = .seconds(3 * 3600), clockOffsetMax: Duration = .seconds(1)
    ) {
        self.restart = restart
        self.backoffFirst = backoffFirst
        self.backoffMost = backoffMost
        self.diskWarning = diskWarning
        self.clockOffsetMax = clockOffsetMax
    }
}
