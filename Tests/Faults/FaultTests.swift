import Testing

/// All tests that break a node on purpose, one after the other: each has the machine's two cores for itself.
@Suite(.serialized) enum FaultTests {}
