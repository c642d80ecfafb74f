/// Pseudo-random numbers that a seed repeats exactly: SplitMix64 (Steele, Lea and Flood, 2014).
///
/// Every property test and every simulation draws from one of these and prints its seed when it fails.
package struct SeededRandom: RandomNumberGenerator, Hashable, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// True `probability` (0 to 1) of the time.
    package mutating func chance(_ probability: Double) -> Bool { unit() < probability }

    /// 0..<1.
    package mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

    package mutating func int(in range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }

    package mutating func duration(in range: ClosedRange<Duration>) -> Duration {
        range.lowerBound + (range.upperBound - range.lowerBound) * unit()
    }

    /// One of `choices`, which must not be empty.
    package mutating func pick<Choice>(_ choices: [Choice]) -> Choice {
        choices[int(in: 0...(choices.count - 1))]
    }
}
