package import Domain
internal import Glibc

/// A thread of its own for C calls that block: Swift's cooperative pool has one thread per core, and a call that blocks
/// there stops every camera of the process. The thread is named, so that `top -H` shows whose time it is.
package enum BlockingThread {
    /// What the kernel keeps of a thread's name (proc(5), comm).
    package static let nameBytesMax = 15

    /// Starts a thread that runs `body` once and ends. Traps if the system has no thread left to give: for what the
    /// process cannot go on without.
    package static func start(_ name: String, _ body: @escaping @Sendable () -> Void) {
        do throws(CodedError) { try attempt(name, body) } catch { preconditionFailure("\(error)") }
    }

    /// As `start`, for a job that is worth less than the process: throws `notReady` if the system has no thread left to
    /// give.
    ///
    /// - Parameter stackBytes: nil: as much as the system gives any thread.
    package static func attempt(
        _ name: String, stackBytes: Int? = nil, _ body: @escaping @Sendable () -> Void
    ) throws(CodedError) {
        let box = Unmanaged.passRetained(Box(name: name, body: body))
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        if let stackBytes { pthread_attr_setstacksize(&attributes, stackBytes) }
        defer { pthread_attr_destroy(&attributes) }
        var thread = pthread_t()
        let failure = pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument else { return nil }
                let box = Unmanaged<Box>.fromOpaque(argument).takeRetainedValue()
                BlockingThread.setName(box.name)
                box.body()
                return nil
            }, box.toOpaque())
        guard failure != 0 else { return }
        box.release()
        throw CodedError(
            .notReady, "the system has no thread left for \(name)", cause: String(cString: strerror(failure)))
    }

    /// Runs `body` on a thread of its own and waits for its result without blocking a pool thread.
    package static func run<Value: Sendable, Failure: Error>(
        _ name: String, _ body: @escaping @Sendable () throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let result = await withCheckedContinuation {
            (continuation: CheckedContinuation<Result<Value, Failure>, Never>) in
            start(name) {
                do throws(Failure) {
                    continuation.resume(returning: .success(try body()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try result.get()
    }

    /// As `run`, but throws `notReady` if the system has no thread left to give.
    package static func attemptRun<Value: Sendable>(
        _ name: String, _ body: @escaping @Sendable () throws(CodedError) -> Value
    ) async throws(CodedError) -> Value {
        let result = await withCheckedContinuation {
            (continuation: CheckedContinuation<Result<Value, CodedError>, Never>) in
            do throws(CodedError) {
                try attempt(name) {
                    do throws(CodedError) {
                        continuation.resume(returning: .success(try body()))
                    } catch {
                        continuation.resume(returning: .failure(error))
                    }
                }
            } catch {
                continuation.resume(returning: .failure(error))
            }
        }
        return try result.get()
    }

    /// Through /proc, since glibc's call is not visible to Swift. A thread without a name works as well.
    private static func setName(_ name: String) {
        let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        let bytes = Array(name.utf8.prefix(nameBytesMax))
        _ = write(file, bytes, bytes.count)
        close(file)
    }

    private final class Box: Sendable {
        let name: String
        let body: @Sendable () -> Void
        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }
}
