"""The configuration file as plain values.

YAML is read as the real server reads it: `yes` and `no` are booleans, dates and `1:30` stay text, and a key written
twice is an error. The words of a syntax error are PyYAML's, not the real server's.
"""
import re

import yaml

from .gotypes import GoError
from .settings import Settings


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """PyYAML's loader with the resolvers for dates and base-60 numbers left out."""

    yaml_implicit_resolvers = {}

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                mark = key.start_mark
                raise GoError(f"[{mark.line + 1}:{mark.column + 1}] mapping key {key.value!r} already defined")
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool",
    re.compile(r"^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$"), list("yYnNtTfFoO"))
Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*|0o?[0-7]+|0x[0-9a-fA-F]+)$"), list("-+0123456789"))
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$"),
    list("-+0123456789."))


def parse(text):
    try:
        documents = list(yaml.load_all(text, Loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"[{mark.line + 1}:{mark.column + 1}] " if mark else ""
        raise GoError(f"{where}{getattr(error, 'problem', None) or error}") from None
    if len(documents) > 1:
        raise GoError("invalid YAML")
    return documents[0] if documents else None


def load(path):
    """The settings in a file. Raises GoError for what the real server refuses."""
    try:
        with open(path, "rb") as file:
            text = file.read().decode("utf-8")
    except OSError as error:
        raise GoError(f"open {path}: {error.strerror.lower()}") from None
    except UnicodeDecodeError:
        raise GoError("invalid YAML") from None
    return Settings.from_document(parse(text))
