package import ClusterConfig
internal import Domain
internal import Foundation
internal import FoundationNetworking

/// The media server's control API (v3), as far as Framekeeper uses it. Reads and writes settings and counts readers;
/// what to set and when is not decided here.
///
/// Every call ends within `deadline`, takes a bounded answer, and fails with one of the closed list of faults. A change
/// is answered before it is carried out: whoever needs it in force reads it back.
package final class MediaServerClient: Sendable {
    /// More than the 4 s for which the server holds back the answer to a wrong password.
    package static let deadline: Duration = .seconds(5)
    /// A page of a hundred paths has about 300 KB.
    static let answerBytesMax = 8 * 1024 * 1024
    private static let itemsPerPage = 100
    /// 10 000 paths; a list without end is none.
    private static let pagesMax = 100

    private let base: String
    private let authorization: String?
    private let deadline: Duration
    private let exchange = HTTPExchange(bodyBytesMax: answerBytesMax)

    package init(
        api: String, username: String? = nil, password: Secret? = nil, deadline: Duration = MediaServerClient.deadline
    ) {
        base = api
        self.deadline = deadline
        authorization = username.map { name in
            "Basic " + Data("\(name):\(password?.reveal() ?? "")".utf8).base64EncodedString()
        }
    }

    package convenience init(_ settings: MediaServerSettings) {
        self.init(api: settings.api, username: settings.username, password: settings.password)
    }

    deinit { exchange.close() }

    // MARK: Reading

    package func info() async throws(MediaServerFault) -> MediaServerInfo { try await get("/v3/info") }

    package func globalConfiguration() async throws(MediaServerFault) -> [String: SettingValue] {
        try await get("/v3/config/global/get")
    }

    package func pathConfigurations() async throws(MediaServerFault) -> [PathConfiguration] {
        try await list("/v3/config/paths/list")
    }

    package func pathConfiguration(_ name: String) async throws(MediaServerFault) -> PathConfiguration {
        try await get("/v3/config/paths/get/\(try Self.checked(name))")
    }

    package func paths() async throws(MediaServerFault) -> [PathReading] { try await list("/v3/paths/list") }

    package func path(_ name: String) async throws(MediaServerFault) -> PathReading {
        try await get("/v3/paths/get/\(try Self.checked(name))")
    }

    // MARK: Changing

    /// - Throws: `rejected` if there is such a path.
    package func add(_ path: PathSettings) async throws(MediaServerFault) {
        _ = try await send("POST", "/v3/config/paths/add/\(try Self.checked(path.name))", path.values)
    }

    /// A patch that the server refuses stays behind as poison: every later change of any path is refused with it. Where
    /// all of a path's settings are known, `replace` does the same without that.
    package func patch(_ path: PathSettings) async throws(MediaServerFault) {
        _ = try await send("PATCH", "/v3/config/paths/patch/\(try Self.checked(path.name))", path.values)
    }

    /// Makes the path if there is none.
    package func replace(_ path: PathSettings) async throws(MediaServerFault) {
        _ = try await send("POST", "/v3/config/paths/replace/\(try Self.checked(path.name))", path.values)
    }

    package func delete(_ name: String) async throws(MediaServerFault) {
        _ = try await send("DELETE", "/v3/config/paths/delete/\(try Self.checked(name))", nil)
    }

    /// An empty change: accepted wherever the server accepts any, and without an effect.
    package func changeNothing() async throws(MediaServerFault) {
        _ = try await send("PATCH", "/v3/config/global/patch", [:])
    }

    // MARK: The exchange

    private func list<Item: Decodable>(_ path: String) async throws(MediaServerFault) -> [Item] {
        var items: [Item] = []
        for page in 0..<Self.pagesMax {
            let found: MediaServerPage<Item> = try await get("\(path)?itemsPerPage=\(Self.itemsPerPage)&page=\(page)")
            items += found.items
            if page + 1 >= found.pageCount || found.items.isEmpty { return items }
        }
        throw .unreadable("a list of more than \(Self.pagesMax) pages")
    }

    private func get<Value: Decodable>(_ path: String) async throws(MediaServerFault) -> Value {
        let body = try await send("GET", path, nil)
        do {
            return try JSONDecoder().decode(Value.self, from: body)
        } catch {
            // The decoder's own words may quote the answer, and with it an address.
            throw .unreadable("\(path.prefix { $0 != "?" }): not the JSON that was expected")
        }
    }

    private func send(
        _ method: String, _ path: String, _ values: [String: SettingValue]?
    ) async throws(MediaServerFault) -> Data {
        guard let url = URL(string: base + path) else { throw .unreachable("\(base) is not an address") }
        var request = URLRequest(url: url, timeoutInterval: deadline.seconds)
        request.httpMethod = method
        if let authorization { request.setValue(authorization, forHTTPHeaderField: "Authorization") }
        if let values {
            request.setValue("application/json", forHTTPHeaderField: "Content-Type")
            request.httpBody = Data(SettingValue.map(values).json.utf8)
        }
        let answer: HTTPExchange.Answer
        switch await exchange.send(request, within: deadline) {
        case .success(let came): answer = came
        case .failure(.late): throw .silent
        case .failure(.tooLarge): throw .unreadable("more than \(Self.answerBytesMax) bytes")
        case .failure(.failed(let reason)): throw .unreachable(MediaServerFault.masked(reason))
        }
        switch answer.status {
        case 200: return answer.body
        case 401, 403: throw .unauthorized
        case 404: throw .notFound
        case 400, 500:
            let refusal = try? JSONDecoder().decode(MediaServerRefusal.self, from: answer.body)
            guard let refusal else { throw .unreadable("status \(answer.status) without a reason") }
            throw .rejected(MediaServerFault.masked(refusal.error))
        default: throw .unreadable("status \(answer.status)")
        }
    }

    /// The server's own rule for names, without the regular expressions: nothing in it has to be escaped in a URL.
    private static func checked(_ name: String) throws(MediaServerFault) -> String {
        let isName = name.utf8.allSatisfy { byte in
            (0x61...0x7A).contains(byte | 0x20) || (0x30...0x39).contains(byte) || "_-/.".utf8.contains(byte)
        }
        guard isName, !name.isEmpty, !name.contains("..") else { throw .rejected("not a path's name") }
        return name
    }
}
