/// FNV-1a, 64 bits (Fowler, Noll and Vo): a short stable name of some bytes, not a protection.
package enum FNV1a {
    /// At most 16 hexadecimal digits, without leading zeros.
    package static func digest(_ bytes: [UInt8]) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return String(hash, radix: 16)
    }
}
