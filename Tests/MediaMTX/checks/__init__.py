"""The checks of `behaviour.py`, by subject. Each is a function of a stack, that ends what it started, and a binary."""

CHECKS = []


def check(title):
    """Registers a function as a check."""
    def register(function):
        CHECKS.append((title, function))
        return function

    return register
