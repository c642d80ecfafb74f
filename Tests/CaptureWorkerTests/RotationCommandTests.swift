import BusContract
import Domain
import Testing

@testable import CaptureWorkerCore

/// Which boundaries a worker lets itself be asked for.
@Suite struct RotationCommandTests {
    @Test(arguments: [-3, 3]) func aBoundaryDaysAwayIsRefused(days: Int) throws {
        var bench = CoreBench()
        let session = try bench.record()
        _ = bench.step(bench.opened(session, index: 1, firstFrame: 9))
        let (token, effects) = bench.command(
            .rotation(RotationCommand(at: bench.now.wall + .seconds(86_400 * days))), after: .seconds(1))
        guard case .failure(let error)? = effects.answer(to: token) else {
            Issue.record("no refusal in \(effects)")
            return
        }
        #expect(error.code == .invalidArgument)
    }
}
