"""Whatever a file holds that says it is a voice: it is read, or refused."""

import hashlib
import io
import json
import struct
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.voices.bundle import BadBundle, read_bundle

DATA = b"hello" * 50
ENTRY = {"name": "samples/0/original", "size": len(DATA), "sha256": hashlib.sha256(DATA).hexdigest()}
MANIFEST = {"format": "awaaztwin-voice", "version": 1, "name": "x", "files": [ENTRY]}

SPECIAL = [
    *(b"\xff" * 2, b"\xff" * 4, b"\xff" * 8, bytes(4), b"\xff" * 7 + b"\x7f", bytes(7) + b"\x80"),
    *(b"\1\0\x08\0", b"\x75\x70\5\0", b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7"),
]


def listed(offset: int, *, size: int = 10, extra: bytes | None = None) -> bytes:
    """A zip of nothing but a list of one file, which stands where an extra field of 64 bits says."""
    name = b"manifest.json"
    if extra is None:
        extra = struct.pack("<HHQ", 1, 8, offset)
    entry = struct.pack(
        *(
            "<4s4B4HL2L5H2L",
            b"PK\1\2",
            20,
            3,
            20,
            0,
            0,
            0,
            0,
            0,
            0,
            size,
            size,
            len(name),
            len(extra),
            0,
            0,
            0,
        ),
        *(0, 0xFFFFFFFF),
    )
    directory = entry + name + extra
    return directory + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(directory), 0, 0)


def written(method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as bundle:
        bundle.writestr(ENTRY["name"], DATA)
        bundle.writestr("manifest.json", json.dumps(MANIFEST))
    return buffer.getvalue()


STORED, DEFLATED = written(zipfile.ZIP_STORED), written(zipfile.ZIP_DEFLATED)


def read(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        source = Path(folder, "bundle.zip")
        source.write_bytes(data)
        read_bundle(source, Path(folder), most=10**6)


def test_the_seeds_are_bundles():
    read(STORED)
    read(DEFLATED)


@pytest.mark.parametrize("offset", [93, 2**31, 2**62, 2**63 - 1, 2**63, 2**64 - 1])
def test_a_file_that_stands_nowhere(offset: int):
    with pytest.raises(BadBundle):
        read(listed(offset))


@pytest.mark.parametrize(
    "extra",
    [
        b"\1\0\0\0",
        b"\1\0\xff\xff",
        b"\x75\x70\5\0\1" + bytes(4),
        b"\x75\x70\1\0\1",
        b"\x75\x70\6\0\1" + b"\xff" * 5,
    ],
)
def test_broken_extra_fields(extra: bytes):
    with pytest.raises(BadBundle):
        read(listed(0, extra=extra))


@given(
    seed=st.sampled_from([STORED, DEFLATED, listed(0), listed(2**62)]),
    changes=st.lists(
        st.tuples(
            st.floats(0, 1, exclude_max=True), st.sampled_from(SPECIAL) | st.binary(min_size=1, max_size=4)
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_any_damage_is_told(seed: bytes, changes: list[tuple[float, bytes]]):
    damaged = bytearray(seed)
    for where, what in changes:
        at = int(where * len(seed))
        damaged[at : at + len(what)] = what
    try:
        read(bytes(damaged))
    except BadBundle as error:
        assert str(error)


@given(
    manifest=st.binary(max_size=60)
    | st.sampled_from([b"[" * 100_000, b"1" * 5_000, b'{"a":1e999}', b"\xff\xfe"])
)
def test_any_manifest_is_told(manifest: bytes):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        bundle.writestr("manifest.json", manifest)
    with pytest.raises(BadBundle):
        read(buffer.getvalue())
