import Testing

/// All tests that run a node, one after the other: each has the machine's two cores for itself.
@Suite(.serialized) enum NodeTests {}
