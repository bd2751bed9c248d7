"""Audio formats of responses, with their aliases, content types and sample rates."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from services.audio.codings import AAC, ALAW, FLAC, MP3, OPUS, PCM, ULAW, Coding, Compressed, Uncompressed
from services.names import nearest_names

LOWEST_RATE: Final = 8_000
HIGHEST_RATE: Final = 48_000
"""Range of sample rates in hertz, for formats without a fixed set of rates."""

_LONGEST_NAME: Final = 64
"""Maximum number of characters of an unknown name that are compared and reported."""


class UnknownFormat(ValueError):  # noqa: N818 - named for the cause
    """The format is unknown; the message lists the known ones."""


class SampleRateError(ValueError):
    """The format does not support the sample rate; the message lists the supported ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFormat:
    """An audio format of responses.

    Attributes:
        name: Name in requests.
        content_type: Media type; several clients choose their decoder by it alone.
        extension: File name extension, with its dot.
        other_extensions: Other extensions that such files may have.
        coding: Coding of the samples.
        wav: Whether they are wrapped in RIFF/WAVE.
        sample_rates: Supported sample rates in hertz, ascending; ``None`` for any from 8,000 to 48,000.
        default_rate: Sample rate in hertz, unless a request specifies one.
        bit_rate: Bits per second of a lossy coding; ``None`` to choose it by the sample rate.
        exact: Whether it is always buffered, so that the header has exact sizes, because readers trust them.
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
        """Whether the coding is compressed, and slow enough to run in a thread."""
        return isinstance(self.coding, Compressed)

    def has_rate(self, rate: int) -> bool:
        """Whether the format supports the sample rate ``rate`` in hertz."""
        if self.sample_rates is None:
            return LOWEST_RATE <= rate <= HIGHEST_RATE
        return rate in self.sample_rates

    def check_rate(self, rate: int) -> None:
        """Check that the format supports the sample rate ``rate`` in hertz.

        Raises:
            SampleRateError: The format does not support it.
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
"""Rates of Layer III in MPEG-1, MPEG-2 (ISO/IEC 13818-3) and "2.5"; AAC has them too (ISO/IEC 14496-3)."""
_OPUS: Final = (8_000, 12_000, 16_000, 24_000, 48_000)
"""Rates of RFC 6716, table 1. A decoder always outputs 48 kHz."""
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
        # Telephone systems rely on the size in the header.
        exact=True,
    )


_ALL: Final = (
    AudioFormat(name="mp3", content_type="audio/mpeg", extension=".mp3", coding=MP3, sample_rates=_MPEG),
    # Opus in Ogg is audio/ogg (RFC 7845); audio/opus is its payload in RTP (RFC 7587). LiveKit Agents, which
    # relies on the type, treats both as Ogg.
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
    # Without a rate parameter, since clients may compare the whole value.
    AudioFormat(
        name="pcm", content_type="audio/pcm", extension=".pcm", other_extensions=(".raw",), coding=PCM
    ),
    # RFC 4856 registers both laws; audio/basic has no counterpart for A-law.
    _g711(ULAW, "audio/PCMU", ".ul"),
    _g711(ALAW, "audio/PCMA", ".al"),
    _g711_wav(ULAW),
    _g711_wav(ALAW),
)

FORMATS: Final[Mapping[str, AudioFormat]] = MappingProxyType({one.name: one for one in _ALL})
"""The formats by name."""


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
"""Other names of the formats, in lower case."""

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
"""ElevenLabs' names, which contain rates: ``mp3_44100_128``, ``pcm_16000``."""


def find_format(name: str) -> AudioFormat:
    """Return a format by name or alias, case-insensitively.

    Raises:
        UnknownFormat: The name is unknown.
    """
    key = name[: _LONGEST_NAME + 1].strip().lower()
    found = FORMATS.get(ALIASES.get(key, key)) or _PRESETS.get(key)
    if found is not None:
        return found
    near = nearest_names(key, [*FORMATS, *ALIASES, *_PRESETS], most=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    # repr, because a name may contain characters that cannot be encoded, such as lone surrogates.
    raise UnknownFormat(f"Unknown format {name[:_LONGEST_NAME]!r}.{hint} Supported: {', '.join(FORMATS)}.")
