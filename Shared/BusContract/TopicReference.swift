internal import Domain

/// The reference of all topics, printed from `MessageRegistry` as Markdown. The committed `TOPICS.md` beside this file
/// is this text; a test compares the two, and writes the file anew when it is asked to.
package enum TopicReference {
    package static var markdown: String {
        let sections = [introduction, table, groups] + MessageRegistry.all.map(section) + [replies]
        return sections.joined(separator: "\n\n") + "\n"
    }

    private static let introduction = """
        # Topics

        Printed from `MessageRegistry.swift`; change it there. All topics stand below the topic root, \
        `framekeeper` unless `broker.topic_root` says otherwise. Keys are snake_case, times RFC 3339 in UTC with \
        milliseconds, published durations numbers with their unit in the name. States and events carry `at`, the \
        moment of publication, and `seq`, which grows per publisher.

        - **state**: retained, QoS 1. Sent again after every connect.
        - **event**: QoS 1, never retained, delivered at least once: tell repeats by their key.
        - **command**: QoS 1, answered. A retained command is refused with `retained_command`; one of more than \
        \(CommandLimits.payloadBytesMax / 1024) KiB with `payload_too_large`.
        - **telemetry**: QoS 0, dropped while there is no connection.
        """

    private static var table: String {
        let rows = MessageRegistry.all.map { entry in
            "| `\(topic(of: entry.type))` | \(entry.type.delivery.rawValue) | \(entry.sender) |"
        }
        return (["| topic | class | from |", "|---|---|---|"] + rows).joined(separator: "\n")
    }

    private static let groups = """
        A command to `groups/<group>/<noun>/set` goes to every camera of the group, `\(GroupID.all)` being all \
        cameras; each answers for itself.
        """

    private static func section(_ entry: MessageRegistry.Entry) -> String {
        var text = "## `\(topic(of: entry.type))`\n\n\(entry.sentence)"
        if !entry.examples.isEmpty { text += "\n\n" + code(entry.examples) }
        if let result = entry.result { text += "\n\nThe answer's `result`:\n\n" + code([result]) }
        return text
    }

    private static func code(_ lines: [String]) -> String { "```\n\(lines.joined(separator: "\n"))\n```" }

    private static func topic(of type: any BusMessage.Type) -> String { named(type) }

    private static func named<M: BusMessage>(_ type: M.Type) -> String { M.template.named(M.Address.placeholders) }

    private static var replies: String {
        """
        ## Replies

        An MQTT 5 client sets the response topic, anywhere outside the root or below `<root>/replies/`, and gets \
        its correlation data back. An MQTT 3.1.1 client puts `"response_topic"`, below `<root>/replies/`, and \
        `"request_id"`, at most \(CommandLimits.requestIDLengthMax) bytes, into the JSON. A refused command that \
        named no place for its answer appears on `cameras/<camera>/error`.

        ```
        {"request_id":"a1","result":{},"status":"ok"}
        {"error":{"code":"invalid_argument","message":"duration: too long"},"request_id":"a1","status":"error"}
        ```

        Codes: \(ErrorCode.allCases.map { "`\($0.rawValue)`" }.joined(separator: ", ")).
        """
    }
}
