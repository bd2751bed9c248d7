"""Pack the voices behind OpenAI's names into engines/kokoro/voices.safetensors.

python scripts/kokoro_voices.py FOLDER

FOLDER has the voices of Kokoro-82M, `<id>.bin`, as `awaaztwin models pull kokoro` brings them.
"""

import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from engines.kokoro.catalogue import CHARACTERS, IDS
from engines.kokoro.styles import LENGTHS, PACKAGED, VALUES

SOURCE = "Kokoro-82M 1.0 by hexgrad, Apache-2.0"


def main(folder: Path) -> None:
    """Write the file."""
    mixes = " ".join(mix for character in CHARACTERS for mix in character.voices.values())
    packs = {
        voice: np.fromfile(folder / f"{voice}.bin", "<f4").reshape(LENGTHS, VALUES).astype(np.float16)
        for voice in IDS
        if voice in mixes
    }
    save_file(packs, PACKAGED, metadata={"source": SOURCE})
    print(f"{len(packs)} voices, {PACKAGED.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
