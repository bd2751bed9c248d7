"""The formats a response can have, their aliases, content types and sample rates."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from services.audio.codings import AAC, ALAW, FLAC, MP3, OPUS, PCM, ULAW, Coding, Compressed, Uncompressed
from services.names import nearest_names

LOWEST_RATE: Final = 8_000
HIGHEST_RATE: Final = 48_000
"""Hertz; the range of the formats whose coding has no rates of its own."""

_LONGEST_NAME: Final = 64
"""Characters of an unknown name that are compared and reported."""


class UnknownFormat(ValueError):  # noqa: N818 - named for the cause
    """Unknown format; the message lists the known ones."""


class SampleRateError(ValueError):
    """The format does not support the sample rate; the message lists those it supports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFormat:
    """A format of the audio.

    Attributes:
        name: In requests.
        content_type: Of the bytes; several clients choose their decoder by it alone.
        extension: Of a file that holds them, with its dot.
        other_extensions: That such files may have too.
        coding: How samples become bytes.
        wav: Whether they are wrapped in RIFF/WAVE.
        sample_rates: Hertz it can have, ascending; ``None`` is any from 8,000 to 48,000.
        default_rate: Hertz, unless a request specifies one.
        bit_rate: Bits a second of a lossy coding; ``None`` follows the sample rate.
        exact: Sent whole with exact sizes in its header, because its readers trust them.
    """

    name: str
    content_type: str
    extension: str
    other_extensions: tuple[str, ...] = ()
    coding: Coding
    wav: bool = False
    sample_rates: tuple[int, ...] | None = None
    default_rate: int = 24_000
    bit_rate: int | None = None
    exact: bool = False

    @property
    def compressed(self) -> bool:
        """Whether encoding it is slow enough for a thread."""
        return isinstance(self.coding, Compressed)

    def has_rate(self, rate: int) -> bool:
        """Whether the format supports ``rate`` (hertz)."""
        if self.sample_rates is None:
            return LOWEST_RATE <= rate <= HIGHEST_RATE
        return rate in self.sample_rates

    def check_rate(self, rate: int) -> None:
        """Raise unless the format supports ``rate`` (hertz).

        Raises:
            SampleRateError: It cannot.
        """
        if self.has_rate(rate):
            return
        allowed = (
            f"any from {LOWEST_RATE} to {HIGHEST_RATE}"
            if self.sample_rates is None
            else ", ".join(map(str, self.sample_rates))
        )
        raise SampleRateError(f"The format {self.name} does not support {rate} Hz; it supports {allowed}.")


_MPEG: Final = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""Layer III of MPEG-1, MPEG-2 (ISO/IEC 13818-3) and "2.5"; ISO/IEC 14496-3 gives AAC all of them too."""
_OPUS: Final = (8_000, 12_000, 16_000, 24_000, 48_000)
"""RFC 6716, table 1. A decoder always outputs 48 kHz."""
_G711: Final = (8_000,)


def _g711(coding: Uncompressed, content_type: str, *extensions: str) -> AudioFormat:
    return AudioFormat(
        name=coding.name,
        content_type=content_type,
        extension=f".{coding.name}",
        other_extensions=extensions,
        coding=coding,
        sample_rates=_G711,
        default_rate=8_000,
    )


def _g711_wav(coding: Uncompressed) -> AudioFormat:
    return AudioFormat(
        name=f"wav_{coding.name}",
        content_type="audio/wav",
        extension=".wav",
        coding=coding,
        wav=True,
        sample_rates=_G711,
        default_rate=8_000,
        # Telephone systems play such files by the size in the header.
        exact=True,
    )


_ALL: Final = (
    AudioFormat(name="mp3", content_type="audio/mpeg", extension=".mp3", coding=MP3, sample_rates=_MPEG),
    # RFC 7845 names Opus in Ogg audio/ogg; audio/opus is its payload in RTP (RFC 7587). LiveKit Agents, which
    # goes by the type, takes both for Ogg.
    AudioFormat(
        name="opus",
        content_type="audio/ogg",
        extension=".opus",
        other_extensions=(".ogg",),
        coding=OPUS,
        sample_rates=_OPUS,
        default_rate=48_000,
    ),
    AudioFormat(name="aac", content_type="audio/aac", extension=".aac", coding=AAC, sample_rates=_MPEG),
    AudioFormat(name="flac", content_type="audio/flac", extension=".flac", coding=FLAC),
    AudioFormat(name="wav", content_type="audio/wav", extension=".wav", coding=PCM, wav=True),
    # No rate parameter: a client may compare the whole value.
    AudioFormat(
        name="pcm", content_type="audio/pcm", extension=".pcm", other_extensions=(".raw",), coding=PCM
    ),
    # RFC 4856 registers both laws; audio/basic would have no twin for A-law.
    _g711(ULAW, "audio/PCMU", ".ul"),
    _g711(ALAW, "audio/PCMA", ".al"),
    _g711_wav(ULAW),
    _g711_wav(ALAW),
)

FORMATS: Final[Mapping[str, AudioFormat]] = MappingProxyType({one.name: one for one in _ALL})
"""By name."""


def _law_aliases(law: str, codec: str, payload: str) -> dict[str, str]:
    raw = (
        f"g711_{law}",
        f"g711_{codec}",
        codec,
        f"pcm_{codec}",
        f"pcm_{law}",
        f"{law}_8000",
        f"{codec}_8000",
        payload,
        f"audio/{payload}",
    )
    wrapped = (f"wav_{codec}", f"wav_{payload}", f"wav_g711_{law}", f"wav_{law}_8000", f"{law}_wav")
    aliases = dict.fromkeys(raw, law) | dict.fromkeys(wrapped, f"wav_{law}")
    return {alias: name for alias, name in aliases.items() if alias not in FORMATS}


ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **_law_aliases("ulaw", "mulaw", "pcmu"),
        **_law_aliases("alaw", "alaw", "pcma"),
        "audio/basic": "ulaw",
        "audio/mpeg": "mp3",
        "audio/mp3": "mp3",
        "ogg": "opus",
        "ogg_opus": "opus",
        "audio/ogg": "opus",
        "audio/opus": "opus",
        "audio/aac": "aac",
        "audio/flac": "flac",
        "audio/wav": "wav",
        "audio/x-wav": "wav",
        "audio/pcm": "pcm",
    }
)
"""Other names in use, lower case."""

_PRESETS: Final[Mapping[str, AudioFormat]] = MappingProxyType(
    {
        **{
            f"{name}_{rate}": replace(FORMATS[name], default_rate=rate)
            for name in ("pcm", "wav")
            for rate in (8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
        },
        **{
            f"{name}_{rate}_{kilobits}": replace(FORMATS[name], default_rate=rate, bit_rate=kilobits * 1_000)
            for name, rate, choices in (
                ("mp3", 22_050, (32,)),
                ("mp3", 24_000, (48,)),
                ("mp3", 44_100, (32, 64, 96, 128, 192)),
                ("opus", 48_000, (32, 64, 96, 128, 192)),
            )
            for kilobits in choices
        },
    }
)
"""ElevenLabs' names, which carry a rate: ``mp3_44100_128``, ``pcm_16000``."""


def find_format(name: str) -> AudioFormat:
    """The format of that name or alias, case-insensitive.

    Raises:
        UnknownFormat: There is none.
    """
    key = name[: _LONGEST_NAME + 1].strip().lower()
    found = FORMATS.get(ALIASES.get(key, key)) or _PRESETS.get(key)
    if found is not None:
        return found
    near = nearest_names(key, [*FORMATS, *ALIASES, *_PRESETS], most=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    # repr: a name may contain what cannot be encoded, such as half a surrogate pair.
    raise UnknownFormat(f"Unknown format {name[:_LONGEST_NAME]!r}.{hint} Supported: {', '.join(FORMATS)}.")
