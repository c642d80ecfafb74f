"""Who may do what: `authInternalUsers`.

Someone who names no user is asked at once. A wrong password, and a right one without the permission, are both refused
after a random pause, without a challenge; there is no difference between the two from outside.
"""
import asyncio
import base64
import binascii
import hashlib
import ipaddress
import os
import random
import re
from dataclasses import dataclass

PAUSE_SECONDS_MAX = 4.0
PAUSE_VARIABLE = "MEDIAMTX_STANDIN_AUTH_PAUSE"
ACTIONS_ON_A_PATH = ("publish", "read", "playback")


@dataclass(frozen=True)
class Credentials:
    user: str = ""
    password: str = ""

    @classmethod
    def from_header(cls, header):
        scheme, _, value = (header or "").partition(" ")
        if scheme.lower() == "bearer" and value.count(":") == 1:
            return cls(*value.split(":"))
        if scheme.lower() != "basic":
            return cls()
        try:
            user, colon, password = base64.b64decode(value, validate=True).decode("utf-8").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return cls()
        return cls(user, password) if colon else cls()


class Refused(Exception):
    """Access refused. With `ask`, the caller named nobody and is to be challenged."""

    def __init__(self, ask):
        super().__init__("authentication error")
        self.ask = ask


class Access:
    """The users of the running configuration."""

    def __init__(self, users):
        self.users = users
        self.pause_seconds_max = float(os.environ.get(PAUSE_VARIABLE, PAUSE_SECONDS_MAX))

    async def check(self, action, credentials, address, log, path=""):
        """Return the user's name, or raise Refused, after the pause where there is one."""
        if any(allows(user, action, credentials, address, path) for user in self.users):
            return credentials.user
        ask = not credentials.user and not credentials.password
        if not ask:
            log.warn("failed to authenticate: authentication failed")
            await asyncio.sleep(random.uniform(0, self.pause_seconds_max))
        raise Refused(ask)


def allows(user, action, credentials, address, path):
    if user["ips"] and not any(contains(network, address) for network in user["ips"]):
        return False
    if not any(permits(permission, action, path) for permission in user["permissions"]):
        return False
    return user["user"] == "any" or (
        matches(user["user"], credentials.user) and matches(user["pass"], credentials.password))


def permits(permission, action, path):
    if permission["action"] != action:
        return False
    wanted = permission["path"]
    if action not in ACTIONS_ON_A_PATH or not wanted or wanted == path:
        return True
    try:
        return wanted.startswith("~") and re.search(wanted[1:], path) is not None
    except re.error:
        return False


def matches(expected, given):
    if expected.startswith("sha256:"):
        return base64.b64encode(hashlib.sha256(given.encode()).digest()).decode() == expected.removeprefix("sha256:")
    # Empty means any. Argon2 hashes are accepted in a configuration, but nobody matches one here.
    return not expected or (expected == given and not expected.startswith("argon2:"))


def contains(network, address):
    try:
        address = ipaddress.ip_address(address.removeprefix("::ffff:"))
    except ValueError:
        return False
    network = ipaddress.ip_network(network)
    return address.version == network.version and address in network
