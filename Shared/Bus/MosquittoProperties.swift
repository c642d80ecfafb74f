internal import BusContract
internal import CMosquitto
internal import Glibc

/// A list of MQTT 5 properties for one call into libmosquitto, freed afterwards. Connect and publish copy the list;
/// a will would take ownership and is therefore sent without one.
struct MosquittoProperties: ~Copyable {
    private var list: OpaquePointer?

    /// The largest packet that the broker may send us; larger publications do not reach us (MQTT 5.0 3.1.2.11.4).
    private static let packetBytesMax: UInt32 = 8 * 1024 * 1024

    init(of connection: BusConnection) {
        mosquitto_property_add_int32(
            &list, Int32(MQTT_PROP_SESSION_EXPIRY_INTERVAL.rawValue), connection.sessionExpirySeconds)
        mosquitto_property_add_int32(&list, Int32(MQTT_PROP_MAXIMUM_PACKET_SIZE.rawValue), Self.packetBytesMax)
    }

    init(of publication: Publication) {
        if let topic = publication.responseTopic {
            mosquitto_property_add_string(&list, Int32(MQTT_PROP_RESPONSE_TOPIC.rawValue), topic)
        }
        if let data = publication.correlation {
            mosquitto_property_add_binary(
                &list, Int32(MQTT_PROP_CORRELATION_DATA.rawValue), data, UInt16(clamping: data.count))
        }
        if let seconds = publication.expirySeconds {
            mosquitto_property_add_int32(&list, Int32(MQTT_PROP_MESSAGE_EXPIRY_INTERVAL.rawValue), seconds)
        }
    }

    deinit {
        var rest = list
        mosquitto_property_free_all(&rest)
    }

    mutating func withList(_ body: (OpaquePointer?) -> Int32) -> Int32 { body(list) }
}

extension InboundMessage {
    /// Copies what the callback may only look at. Of an oversized command only as much as shows that it is oversized.
    init(_ message: mosquitto_message, _ properties: OpaquePointer?) {
        let topic = message.topic.map { String(cString: $0) } ?? ""
        let length = Int(max(0, message.payloadlen))
        let kept = topic.hasSuffix(Self.commandSuffix) ? min(length, CommandLimits.payloadBytesMax + 1) : length
        self.init(
            topic: topic, payload: [UInt8](UnsafeRawBufferPointer(start: message.payload, count: kept)),
            isRetained: message.retain, responseTopic: Self.responseTopic(in: properties),
            correlation: Self.correlation(in: properties))
    }

    private static func responseTopic(in properties: OpaquePointer?) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        let found = mosquitto_property_read_string(
            properties, Int32(MQTT_PROP_RESPONSE_TOPIC.rawValue), &text, false)
        defer { free(text) }
        guard found != nil, let text else { return nil }
        return String(cString: text)
    }

    private static func correlation(in properties: OpaquePointer?) -> [UInt8]? {
        var data: UnsafeMutableRawPointer?
        var length: UInt16 = 0
        let found = mosquitto_property_read_binary(
            properties, Int32(MQTT_PROP_CORRELATION_DATA.rawValue), &data, &length, false)
        defer { free(data) }
        guard found != nil else { return nil }
        return [UInt8](UnsafeRawBufferPointer(start: data, count: Int(length)))
    }
}
