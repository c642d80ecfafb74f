/// How a process of the product ends (sysexits.h); scripts and the supervisor rely on these. Not called `ExitCode`,
/// since every main imports ArgumentParser, which has one.
package enum ServiceExit: Int32, Sendable, CaseIterable {
    case done = 0
    case failed = 1
    /// EX_USAGE: wrong flags.
    case usage = 64
    /// EX_UNAVAILABLE: the broker or another process is away.
    case unavailable = 69
    /// EX_TEMPFAIL: another process owns the camera or the folder.
    case fenced = 75
    /// EX_CONFIG.
    case configuration = 78
}

/// The product's version, as `--version`, presence and logs print it.
package enum ProductVersion {
    package static let text = "0.1.0"
}
