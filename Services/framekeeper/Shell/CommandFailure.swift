internal import Bus
internal import BusContract
internal import ClusterConfig
internal import Domain
internal import ServiceKit

/// Why a command did not do what was asked: the exit code, a sentence, and what to do next.
struct CommandFailure: Error, Sendable, Hashable {
    var exit: ServiceExit
    var message: String
    var hint: String?
    var code: ErrorCode

    init(_ exit: ServiceExit, _ message: String, hint: String? = nil, code: ErrorCode = .internal) {
        self.exit = exit
        self.message = message
        self.hint = hint
        self.code = code
    }

    /// An error of the product itself, without a place to look at.
    init(_ error: CodedError) {
        let exit: ServiceExit =
            switch error.code {
            case .timeout, .notReady, .mediaServerUnavailable, .sourceUnavailable, .conflict: .unavailable
            case .invalidPayload, .invalidArgument, .unknownCamera, .unknownCommand, .retainedCommand, .expired,
                .payloadTooLarge, .unauthorized, .storageFull, .storageFailed, .internal:
                .failed
            }
        self.init(exit, error.description, code: error.code)
    }

    init(_ errors: ConfigurationErrors) {
        self.init(
            .configuration, errors.description,
            hint: "framekeeper config check names every fault; config/framekeeper.yml explains every key",
            code: .invalidArgument)
    }

    /// A reply that says no.
    init(refusal: PublishedError?) {
        let hint = refusal?.code == .unknownCamera ? "framekeeper status shows the cameras" : nil
        self.init(
            .failed, refusal?.message ?? "refused without a reason", hint: hint, code: refusal?.code ?? .internal)
    }
}
