"""Session descriptions: read from a publisher, written to readers, and summed up as the API's tracks.

Only what the description says is known; the packets are never looked into.
"""
import base64
import binascii
from dataclasses import dataclass, field

from .gotypes import GoError

STATIC_PAYLOADS = {"0": "pcmu/8000", "8": "pcma/8000", "9": "g722/8000", "10": "l16/44100/2", "11": "l16/44100",
                   "14": "mpa/90000", "26": "jpeg/90000", "32": "mpv/90000", "33": "mp2t/90000"}
CODECS = {"av1": "AV1", "vp9": "VP9", "vp8": "VP8", "h265": "H265", "h264": "H264", "mp4v-es": "MPEG-4 Video",
          "mpv": "MPEG-1/2 Video", "jpeg": "M-JPEG", "opus": "Opus", "multiopus": "Opus", "flac": "FLAC",
          "vorbis": "Vorbis", "mpeg4-generic": "MPEG-4 Audio", "mp4a-latm": "MPEG-4 Audio LATM",
          "mpa": "MPEG-1/2 Audio", "ac3": "AC3", "speex": "Speex", "g722": "G722", "pcmu": "G711", "pcma": "G711",
          "l8": "LPCM", "l16": "LPCM", "l24": "LPCM", "mp2t": "MPEG-TS", "smtpe336m": "KLV"}
H264_PROFILES = {66: "Baseline", 77: "Main", 88: "Extended", 100: "High", 110: "High 10", 122: "High 4:2:2",
                 244: "High 4:4:4 Predictive"}
H264_PROFILES_WITH_CHROMA = (100, 110, 122, 244, 44, 83, 86, 118, 128)
H265_PROFILES = {1: "Main", 2: "Main 10", 3: "Main Still Picture", 4: "Range Extensions", 5: "High Throughput"}
AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
GOLOMB_ZEROS_MAX = 32


@dataclass
class Media:
    """One `m=` section."""

    kind: str
    protocol: str
    formats: list
    attributes: list = field(default_factory=list)

    def attribute(self, name):
        return next((value for key, value in self.attributes if key == name), "")

    def parameters(self, payload):
        """The `fmtp` of a payload type."""
        for key, value in self.attributes:
            head, _, rest = value.partition(" ")
            if key == "fmtp" and head == payload:
                pairs = (item.strip().partition("=") for item in rest.split(";"))
                return {name.lower(): text for name, _, text in pairs if name}
        return {}

    def encoding(self, payload):
        """Such as `h264/90000`."""
        for key, value in self.attributes:
            head, _, rest = value.partition(" ")
            if key == "rtpmap" and head == payload:
                return rest.strip().lower()
        return STATIC_PAYLOADS.get(payload, "")


@dataclass
class Description:
    """What a publisher announced or a camera described."""

    title: str
    medias: list

    @classmethod
    def parse(cls, text):
        title, medias = "", []
        for line in text.replace("\r\n", "\n").split("\n"):
            key, equals, value = line.partition("=")
            if not equals:
                continue
            if key == "m":
                parts = value.split()
                if len(parts) < 4:
                    raise GoError(f"invalid SDP: invalid media: {value}")
                medias.append(Media(parts[0], parts[2], parts[3:]))
            elif key == "s":
                title = value.strip()
            elif key == "a" and medias:
                name, _, rest = value.partition(":")
                medias[-1].attributes.append((name, rest))
        if not medias:
            raise GoError("invalid SDP: no media streams are present in SDP")
        for media in medias:
            for payload in media.formats:
                mode = media.parameters(payload).get("packetization-mode", "")
                if media.encoding(payload).startswith("h264/") and mode == "0":
                    raise GoError("H264 packetization-mode=0 is not supported by the server")
        return cls(title, medias)

    def text(self):
        """For readers: the same formats under track names of our own."""
        lines = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", f"s={self.title or ' '}", "c=IN IP4 0.0.0.0", "t=0 0"]
        for number, media in enumerate(self.medias):
            lines.append(f"m={media.kind} 0 RTP/AVP {' '.join(media.formats)}")
            lines.append(f"a=control:trackID={number}")
            lines += [f"a={key}:{value}" for key, value in media.attributes if key in ("rtpmap", "fmtp")]
        return "".join(f"{line}\r\n" for line in lines)

    def track_names(self):
        return [track["codec"] for track in self.tracks()]

    def tracks(self):
        return [track(media, payload) for media in self.medias for payload in media.formats]

    def summary(self):
        names = self.track_names()
        return f"{len(names)} {'track' if len(names) == 1 else 'tracks'} ({', '.join(names)})"


def track(media, payload):
    name, _, rate = media.encoding(payload).partition("/")
    codec = "G726" if name.startswith(("g726", "aal2-g726")) else CODECS.get(name, "Generic")
    properties = PROPERTIES.get(codec)
    try:
        known = properties(media.parameters(payload), name, rate) if properties else None
    except ValueError:
        known = None
    return {"codec": codec, "codecProps": known}


def h264_properties(parameters, name, rate):
    sets = parameters.get("sprop-parameter-sets", "").split(",")
    found = next((unit for unit in map(decoded_unit, sets) if unit and unit[0] & 0x1F == 7), None)
    return sized(h264_sizes, found) or {"width": 0, "height": 0, "profile": "", "level": ""}


def h265_properties(parameters, name, rate):
    return sized(h265_sizes, decoded_unit(parameters.get("sprop-sps", ""))) or {
        "width": 0, "height": 0, "profile": "", "level": ""}


def opus_properties(parameters, name, rate):
    if name == "multiopus":
        return {"channelCount": int(rate.partition("/")[2] or 2)}
    return {"channelCount": 2 if parameters.get("sprop-stereo") == "1" else 1}


def aac_properties(parameters, name, rate):
    try:
        bits = Bits(bytes.fromhex(parameters.get("config", "")))
        if bits.read(5) == 31:
            bits.read(6)
        index = bits.read(4)
        sample_rate = bits.read(24) if index == 15 else AAC_RATES[index]
        return {"sampleRate": sample_rate, "channelCount": bits.read(4)}
    except (ValueError, IndexError):
        return {"sampleRate": 0, "channelCount": 0}


def g711_properties(parameters, name, rate):
    sample_rate, _, channels = rate.partition("/")
    return {"muLaw": name == "pcmu", "sampleRate": int(sample_rate or 8000), "channelCount": int(channels or 1)}


def lpcm_properties(parameters, name, rate):
    sample_rate, _, channels = rate.partition("/")
    return {"bitDepth": int(name[1:]), "sampleRate": int(sample_rate or 0), "channelCount": int(channels or 1)}


def ac3_properties(parameters, name, rate):
    sample_rate, _, channels = rate.partition("/")
    return {"sampleRate": int(sample_rate or 0), "channelCount": int(channels or 6)}


PROPERTIES = {"H264": h264_properties, "H265": h265_properties, "Opus": opus_properties,
              "MPEG-4 Audio": aac_properties, "G711": g711_properties, "LPCM": lpcm_properties, "AC3": ac3_properties,
              "VP9": lambda parameters, name, rate: {"profile": int(parameters.get("profile-id", 0) or 0)}}


class Bits:
    """Bits of a parameter set, with Exp-Golomb numbers."""

    def __init__(self, data):
        self.value = int.from_bytes(data, "big")
        self.left = len(data) * 8

    def read(self, count):
        if count > self.left:
            raise IndexError("the parameter set ends early")
        self.left -= count
        return self.value >> self.left & (1 << count) - 1

    def unsigned(self):
        zeros = 0
        while not self.read(1):
            zeros += 1
            if zeros > GOLOMB_ZEROS_MAX:
                raise IndexError("not a number")
        return (1 << zeros) - 1 + self.read(zeros)

    def signed(self):
        number = self.unsigned()
        return (number + 1) // 2 if number % 2 else -(number // 2)


def decoded_unit(text):
    """A NAL unit from base64, without its emulation prevention bytes."""
    try:
        unit = base64.b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        return b""
    return unit.replace(b"\0\0\3", b"\0\0")


def sized(reader, unit):
    """What `reader` makes of a parameter set, or None if it is broken or missing."""
    try:
        return reader(unit) if unit else None
    except IndexError:
        return None


def h264_sizes(unit):
    bits = Bits(unit[1:])
    profile, _, level = bits.read(8), bits.read(8), bits.read(8)
    bits.unsigned()
    chroma = 1
    if profile in H264_PROFILES_WITH_CHROMA:
        chroma = h264_chroma(bits)
    bits.unsigned()
    order = bits.unsigned()
    if order == 0:
        bits.unsigned()
    elif order == 1:
        bits.read(1)
        bits.signed(), bits.signed()
        for _ in range(bits.unsigned()):
            bits.signed()
    bits.unsigned(), bits.read(1)
    width = (bits.unsigned() + 1) * 16
    map_units = bits.unsigned() + 1
    frames_only = bits.read(1)
    height = map_units * 16 * (2 - frames_only)
    if not frames_only:
        bits.read(1)
    bits.read(1)
    if bits.read(1):
        left, right, top, bottom = (bits.unsigned() for _ in range(4))
        width -= (left + right) * (2 if chroma in (1, 2) else 1)
        height -= (top + bottom) * (2 if chroma == 1 else 1) * (2 - frames_only)
    major, minor = divmod(level, 10)
    return {"width": width, "height": height, "profile": H264_PROFILES.get(profile, str(profile)),
            "level": f"{major}.{minor}" if minor else str(major)}


def h264_chroma(bits):
    """Read past the fields of the higher profiles; return the chroma format."""
    chroma = bits.unsigned()
    if chroma == 3:
        bits.read(1)
    bits.unsigned(), bits.unsigned(), bits.read(1)
    if bits.read(1):
        for number in range(8 if chroma != 3 else 12):
            if bits.read(1):
                last = step = 8
                for _ in range(16 if number < 6 else 64):
                    if step:
                        step = (last + bits.signed()) % 256
                    last = step or last
    return chroma


def h265_sizes(unit):
    bits = Bits(unit[2:])
    bits.read(4)
    sublayers = bits.read(3)
    bits.read(1)
    bits.read(3)
    profile = bits.read(5)
    bits.read(80)
    level = bits.read(8)
    present = [(bits.read(1), bits.read(1)) for _ in range(sublayers)]
    if sublayers:
        bits.read(2 * (8 - sublayers))
    for has_profile, has_level in present:
        bits.read(88 * has_profile + 8 * has_level)
    bits.unsigned()
    chroma = bits.unsigned()
    if chroma == 3:
        bits.read(1)
    width, height = bits.unsigned(), bits.unsigned()
    if bits.read(1):
        left, right, top, bottom = (bits.unsigned() for _ in range(4))
        width -= (left + right) * (2 if chroma in (1, 2) else 1)
        height -= (top + bottom) * (2 if chroma == 1 else 1)
    return {"width": width, "height": height, "profile": H265_PROFILES.get(profile, str(profile)),
            "level": f"{level / 30:.0f}" if level % 30 == 0 else f"{level / 30:.1f}"}
