internal import Foundation
internal import FoundationNetworking
internal import Synchronization

/// Requests with a deadline and a bound on what comes back, on URLSession. Redirects are not followed, nothing is
/// cached, no cookie is kept, and credentials go out only as the header that the caller sets.
///
/// Owns the session and the answers under way. Each request ends exactly once: with an answer, at its deadline, or with
/// the caller's cancellation.
final class HTTPExchange: NSObject, URLSessionDataDelegate, Sendable {
    struct Answer: Sendable {
        var status: Int
        var body: Data
    }

    enum Failure: Error, Hashable, Sendable {
        case late
        case tooLarge
        case failed(String)
    }

    private struct Pending {
        var status = 0
        var body = Data()
        var failure: Failure?
        var continuation: CheckedContinuation<Result<Answer, Failure>, Never>?
    }

    private let bodyBytesMax: Int
    private let pending = Mutex<[Int: Pending]>([:])
    private let session = Mutex<URLSession?>(nil)

    init(bodyBytesMax: Int) {
        self.bodyBytesMax = bodyBytesMax
        super.init()
        let configuration = URLSessionConfiguration.ephemeral
        configuration.urlCache = nil
        configuration.httpCookieStorage = nil
        configuration.urlCredentialStorage = nil
        configuration.httpShouldSetCookies = false
        configuration.requestCachePolicy = .reloadIgnoringLocalCacheData
        session.withLock { $0 = URLSession(configuration: configuration, delegate: self, delegateQueue: nil) }
    }

    /// The session holds on to its delegate until it is told not to. Nothing can be sent after this.
    func close() {
        let last = session.withLock { $0.take() }
        last?.invalidateAndCancel()
    }

    func send(_ request: URLRequest, within deadline: Duration) async -> Result<Answer, Failure> {
        guard let task = session.withLock({ $0?.dataTask(with: request) }) else { return .failure(.failed("closed")) }
        let alarm = Task {
            guard (try? await Task.sleep(for: deadline)) != nil else { return }
            fail(task, .late)
        }
        defer { alarm.cancel() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                pending.withLock { $0[task.taskIdentifier] = Pending(continuation: continuation) }
                task.resume()
            }
        } onCancel: {
            fail(task, .failed("cancelled"))
        }
    }

    private func fail(_ task: URLSessionTask, _ failure: Failure) {
        finish(task, .failure(failure))
        task.cancel()
    }

    private func finish(_ task: URLSessionTask, _ result: Result<Answer, Failure>) {
        let done = pending.withLock { $0.removeValue(forKey: task.taskIdentifier) }
        done?.continuation?.resume(returning: result)
    }

    // MARK: URLSessionDataDelegate

    func urlSession(
        _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
        completionHandler: @escaping (URLSession.ResponseDisposition) -> Void
    ) {
        let status = (response as? HTTPURLResponse)?.statusCode ?? 0
        pending.withLock { $0[dataTask.taskIdentifier]?.status = status }
        completionHandler(.allow)
    }

    func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
        let isTooLarge = pending.withLock { pending in
            let count = pending[dataTask.taskIdentifier]?.body.count ?? 0
            guard count + data.count <= bodyBytesMax else { return true }
            pending[dataTask.taskIdentifier]?.body.append(data)
            return false
        }
        if isTooLarge { fail(dataTask, .tooLarge) }
    }

    func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) {
        if let error {
            let reason = (error as NSError).localizedDescription
            let isLate = (error as? URLError)?.code == .timedOut
            finish(task, .failure(isLate ? .late : .failed(reason)))
            return
        }
        let answer = pending.withLock { $0[task.taskIdentifier].map { Answer(status: $0.status, body: $0.body) } }
        if let answer { finish(task, .success(answer)) }
    }

    func urlSession(
        _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse,
        newRequest request: URLRequest, completionHandler: @escaping (URLRequest?) -> Void
    ) {
        completionHandler(nil)
    }

    /// No credentials but those of the header, so a challenge is the answer. Foundation would wait for better ones
    /// without end.
    func urlSession(
        _ session: URLSession, task: URLSessionTask, didReceive challenge: URLAuthenticationChallenge,
        completionHandler: @escaping (URLSession.AuthChallengeDisposition, URLCredential?) -> Void
    ) {
        finish(task, .success(Answer(status: Self.unauthorized, body: Data())))
        completionHandler(.cancelAuthenticationChallenge, nil)
    }

    /// RFC 9110 section 15.5.2.
    private static let unauthorized = 401
}
