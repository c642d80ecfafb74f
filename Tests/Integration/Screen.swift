import TestSupport

/// A terminal of its own for a command, as util-linux makes one; what it shows goes to a file.
enum Screen {
    /// - Parameters:
    ///   - columns: nil: a terminal that does not say how wide it is.
    ///   - colour: false: NO_COLOR is set.
    static func run(
        _ command: String, columns: Int? = nil, colour: Bool = true, output: String
    ) throws -> ChildProcess {
        let environment = (colour ? ["-u", "NO_COLOR"] : ["NO_COLOR=1"]) + ["TERM=xterm"]
        let size = columns.map { "stty rows 24 columns \($0) && " } ?? ""
        let script = ["script", "-qefc", size + command, "/dev/null"]
        return try ChildProcess(["env"] + environment + script, output: output)
    }
}
