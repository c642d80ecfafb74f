import Testing

/// All tests that run a node, one after the other; where everything runs, quick tests of other suites run beside the
/// first of them.
@Suite(.serialized) enum NodeTests {}
