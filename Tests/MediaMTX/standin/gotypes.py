"""Values as Go prints and reads them: durations with days, sizes, numbers, UUIDs, environment expansion.

Durations are whole nanoseconds in 64 bits and wrap like Go's, because the wrap is part of the behaviour that the
configuration has to live with: `106752d` is accepted and becomes negative.
"""
import os
import re

NANOSECOND, MICROSECOND, MILLISECOND, SECOND = 1, 10**3, 10**6, 10**9
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86400 * SECOND
UNITS = {
    "ns": NANOSECOND, "us": MICROSECOND, "µs": MICROSECOND, "μs": MICROSECOND, "ms": MILLISECOND,
    "s": SECOND, "m": MINUTE, "h": HOUR,
}
INT64_MAX = 2**63 - 1
INT_BITS_OF_A_PAGE = 31
SIZE_UNITS = "BKMGTPE"
SHELL_NAME = re.compile(r"\$(?:\{([^}]*)\}|(\{)|([*#$@!?\-0-9])|([A-Za-z_][A-Za-z0-9_]*))")


class GoError(ValueError):
    """An error whose text goes to the client unchanged."""


def wrapped(number):
    """The number as a signed 64 bit integer."""
    return (number + 2**63) % 2**64 - 2**63


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def duration(text):
    """Nanoseconds of a text such as `1d12h` or `500ms`. Empty is zero."""
    days, rest, negative = 0, text, False
    match = re.match(r"(-?[0-9]+)d", text)
    if match:
        days = min(max(int(match[1]), -INT64_MAX), INT64_MAX)
        negative, days = days < 0, abs(days)
        rest = text[match.end():]
    total = clock_duration(rest) if rest else 0
    # Hours are range-checked by the clock part; days are only multiplied, and wrap.
    total = wrapped(total + wrapped(days * DAY))
    return wrapped(-total) if negative else total


def clock_duration(text):
    """Go's time.ParseDuration."""
    invalid = GoError(f"time: invalid duration {quoted(text)}")
    sign, rest = 1, text
    if rest[:1] in "+-" and rest:
        sign, rest = (-1 if rest[0] == "-" else 1), rest[1:]
    if rest == "0":
        return 0
    if not rest:
        raise invalid
    total = 0
    while rest:
        match = re.match(r"([0-9]*)(?:\.([0-9]*))?", rest)
        whole, fraction = match[1], match[2] or ""
        if not whole and not fraction:
            raise invalid
        rest = rest[match.end():]
        unit = re.match(r"[^.0-9]*", rest)[0]
        if not unit:
            raise GoError(f"time: missing unit in duration {quoted(text)}")
        if unit not in UNITS:
            raise GoError(f"time: unknown unit {quoted(unit)} in duration {quoted(text)}")
        rest = rest[len(unit):]
        total += int(whole or 0) * UNITS[unit] + int(fraction or 0) * UNITS[unit] // 10 ** len(fraction)
        if total > INT64_MAX:
            raise invalid
    return sign * total


def duration_text(nanoseconds):
    """`1d12h0m0s`; zero is the empty text."""
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    days, rest = divmod(rest, DAY)
    return sign + (f"{days}d" if days else "") + (clock_text(rest) if rest else "")


def clock_text(nanoseconds):
    """Go's Duration.String for a positive duration."""
    for unit, name in ((MICROSECOND, "ns"), (MILLISECOND, "µs"), (SECOND, "ms")):
        if nanoseconds < unit:
            return decimal(nanoseconds, UNITS[name]) + name
    minutes, rest = divmod(nanoseconds, MINUTE)
    hours, minutes = divmod(minutes, 60)
    text = decimal(rest, SECOND) + "s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{hours}h{text}" if hours else text


def decimal(number, unit):
    """number / unit without trailing zeros, exactly."""
    whole, rest = divmod(number, unit)
    fraction = str(rest).zfill(len(str(unit)) - 1).rstrip("0") if rest else ""
    return f"{whole}.{fraction}" if fraction else str(whole)


def size(text):
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([BKMGTPE])?(?:I?B)?", text.strip().upper())
    if not match or float(match[1]) <= 0:
        raise GoError("byte quantity must be a positive integer with a unit of measurement like"
                      " M, MB, MiB, G, GiB, or GB")
    return int(float(match[1]) * 1024 ** SIZE_UNITS.index(match[2] or "B"))


def size_text(number):
    power = 0
    while power < len(SIZE_UNITS) - 1 and number >= 1024 ** (power + 1):
        power += 1
    return f"{number / 1024 ** power:.1f}".removesuffix(".0") + SIZE_UNITS[power]


def page_number(text):
    """strconv.ParseUint(text, 10, 31)."""
    if not re.fullmatch(r"[0-9]+", text):
        raise GoError(f"strconv.ParseUint: parsing {quoted(text)}: invalid syntax")
    if int(text) >= 2**INT_BITS_OF_A_PAGE:
        raise GoError(f"strconv.ParseUint: parsing {quoted(text)}: value out of range")
    return int(text)


def uuid_text(text):
    """The canonical form of a UUID in any of the four forms that Go's parser takes."""
    bare = {36: text, 45: text[9:], 38: text[1:-1], 32: text}.get(len(text))
    if bare is None:
        raise GoError(f"invalid UUID length: {len(text)}")
    digits = bare.replace("-", "").lower()
    if not re.fullmatch(r"[0-9a-f]{32}", digits):
        raise GoError("invalid UUID format")
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def expanded(text, lookup):
    """Go's os.Expand: `$NAME` and `${NAME}` are looked up, `$$`, `$?` and `$1` too; `$(` is left alone."""
    def value(match):
        if match[2] or match[1] == "":
            return ""
        return lookup(match[1] or match[3] or match[4])

    return SHELL_NAME.sub(value, text)


def new_uuid():
    number = int.from_bytes(os.urandom(16), "big")
    number = number & ~(0xF << 76) | 4 << 76
    number = number & ~(0x3 << 62) | 2 << 62
    return uuid_text(f"{number:032x}")
