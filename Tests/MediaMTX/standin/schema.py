"""What a configuration may contain: field names and types from `schema.json`, and the texts of refusals.

Both the file (YAML, turned into plain values first) and the bodies of the control API (JSON) pass through here, as they
do in the real server, so the same mistake gets the same words. Decoded values stay plain Python values; only durations
(nanoseconds) and sizes (bytes) change their type.
"""
import ipaddress
import json
import os
import re

from . import gotypes
from .gotypes import GoError

SCHEMA_FILE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "schema.json")
RAW_OBJECT = "map[string]jsontext.Value"
RAW_LIST = "[]jsontext.Value"
PLAIN_LISTS = {"[]string": "[]string", "[]uint": "[]uint", "[]float": "[]float64", "[]Transport": "[]string"}
UINT_MAX, INT_MAX, INT_MIN = 2**64 - 1, 2**63 - 1, -(2**63)
PLAIN_CREDENTIAL = re.compile(r"[a-zA-Z0-9!$()*+.;<=>\[\]^_\-{}@#&]+")
HASHED_CREDENTIAL = re.compile(r"(sha256:[a-zA-Z0-9+/=]+|argon2:.+)")
BAD_CREDENTIAL = (
    'credential contains unsupported characters. Supported are: A-Z,0-9,!,$,(,),*,+,.,;,<,=,>,[,],^,_,-,",",@,#,&'
)
ENUM_ERRORS = {
    "LogLevel": "invalid log level: '{}'",
    "LogDestination": "invalid log destination: {}",
    "AuthMethod": "invalid authMethod: '{}'",
    "AuthAction": "invalid auth action: '{}'",
    "Encryption": "invalid encryption: '{}'",
    "HLSVariant": "invalid HLS variant: '{}'",
    "RecordFormat": "invalid record format '{}'",
    "RTSPAuthMethod": "invalid authentication method: '{}'",
    "RTSPRangeType": "invalid rtsp range type: '{}'",
    "RTSPTransport": "invalid transport '{}'",
    "AlwaysAvailableTrackCodec": "unsupported codec '{}'",
    "Transport": "invalid transport: {}",
}
# These decode into an alias of themselves, so a wrong type is reported under that name.
ALIASED = {"AuthMethod", "Encryption", "RecordFormat", "RTSPRangeType"}
ENUM_SYNONYMS = {"Encryption": {"false": "no", "true": "strict", "yes": "strict"}}


class Schema:
    """The tables of `schema.json` and the decoding and encoding of values by them."""

    def __init__(self, path=SCHEMA_FILE):
        with open(path, encoding="utf-8") as file:
            tables = json.load(file)
        self.fields = {"global": tables["global"], "path": tables["path"], **tables["objects"]}
        self.enums = tables["enums"]
        self.default_values = {kind: self._defaults(kind, tables["defaults"][kind]) for kind in ("global", "path")}

    def _defaults(self, kind, given):
        values = {}
        for name, typ in self.fields[kind].items():
            if not typ.endswith("?"):
                values[name] = self._zero(typ)
        values.update(self.decode_fields(kind, given))
        return values

    def _zero(self, typ):
        if typ.startswith("[]"):
            return []
        return {"bool": False, "int": 0, "uint": 0, "float": 0, "duration": 0, "size": 0}.get(typ, "")

    def decode_fields(self, kind, raw, where="", file=False, beside=()):
        """The known fields of an object. Null leaves a field alone, except that a file's null list is an error.

        `beside` names fields that are allowed here and decoded elsewhere.
        """
        if raw is None:
            return {}
        if not isinstance(raw, dict):
            raise type_error(raw, RAW_OBJECT)
        fields, prefix = self.fields[kind], f"{where}." if where else ""
        for name in raw:
            if name not in fields and name not in beside:
                raise GoError(f"json: unknown field {gotypes.quoted(prefix + str(name))}")
        values = {}
        for name, value in raw.items():
            if name in beside or (value is None and not file):
                continue
            typ = fields[name].removesuffix("?")
            if value is None:
                if typ.startswith("[]"):
                    raise GoError(f"cannot set slice {gotypes.quoted(prefix + name)} to nil")
                if typ == "duration":
                    values[name] = 0
                continue
            values[name] = self.decode(typ, value, prefix + name)
        return values

    def decode(self, typ, value, where):
        if typ.startswith("[]"):
            return self._decode_list(typ, value, where)
        if typ in self.enums:
            return self._decode_enum(typ, value)
        if typ in self.fields:
            return self._decode_object(typ, value, where)
        return getattr(self, f"_decode_{typ}")(value)

    def _decode_list(self, typ, value, where):
        if not isinstance(value, list):
            raise type_error(value, PLAIN_LISTS.get(typ, RAW_LIST))
        items = [self.decode(typ[2:], item, f"{where}[{index}]") for index, item in enumerate(value)]
        # The transports are a set in the real server and come back sorted.
        return sorted(set(items)) if typ == "[]Transport" else items

    def _decode_enum(self, typ, value):
        if not isinstance(value, str):
            raise type_error(value, "conf.alias" if typ in ALIASED else "string")
        value = ENUM_SYNONYMS.get(typ, {}).get(value, value)
        if value not in self.enums[typ]:
            raise GoError(ENUM_ERRORS[typ].format(value))
        return value

    def _decode_object(self, typ, value, where):
        values = {name: self._zero(field) for name, field in self.fields[typ].items()}
        values.update(self.decode_fields(typ, value, where))
        return values

    def _decode_bool(self, value):
        if not isinstance(value, bool):
            raise type_error(value, "bool")
        return value

    def _decode_string(self, value):
        if not isinstance(value, str):
            raise type_error(value, "string")
        return value

    def _decode_int(self, value):
        return whole_number(value, "int", INT_MIN, INT_MAX)

    def _decode_uint(self, value):
        return whole_number(value, "uint", 0, UINT_MAX)

    def _decode_float(self, value):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise type_error(value, "float64")
        return value

    def _decode_duration(self, value):
        return gotypes.duration(self._decode_string(value))

    def _decode_size(self, value):
        return gotypes.size(self._decode_string(value))

    def _decode_credential(self, value):
        text = self._decode_string(value)
        if text and not HASHED_CREDENTIAL.fullmatch(text) and not PLAIN_CREDENTIAL.fullmatch(text):
            raise GoError(BAD_CREDENTIAL)
        return text

    def _decode_network(self, value):
        text = self._decode_string(value)
        try:
            return str(ipaddress.ip_network(text, strict=False))
        except ValueError:
            raise GoError(f"unable to parse IP/CIDR '{text}'") from None

    def encode(self, kind, values):
        """The object as the API prints it, in the order of the schema. Unset deprecated fields are left out."""
        return {
            name: encode_value(typ.removesuffix("?"), values[name])
            for name, typ in self.fields[kind].items() if name in values
        }


def encode_value(typ, value):
    if typ == "duration":
        return gotypes.duration_text(value)
    if typ == "size":
        return gotypes.size_text(value)
    return value


def whole_number(value, typ, least, most):
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise type_error(value, typ)
    if isinstance(value, float) or not least <= value <= most:
        raise GoError(f"json: cannot unmarshal number {value} into Go value of type {typ}")
    return value


def type_error(value, typ):
    kinds = ((bool, "bool"), ((int, float), "number"), (str, "string"), (list, "array"), (dict, "object"))
    kind = next(name for types, name in kinds if isinstance(value, types))
    return GoError(f"json: cannot unmarshal {kind} into Go value of type {typ}")


def parse_json(body):
    """The value of a request body, or the error that Go's decoder gives for it."""
    text = body.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        unfinished = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
        if unfinished:
            raise GoError("unexpected end of JSON input") from None
        character = text[error.pos]
        raise GoError(f"invalid character '{character}' looking for beginning of value") from None
