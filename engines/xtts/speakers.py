"""The voices that come with a checkpoint: ``speakers_xtts.pth``, which Coqui ships with the weights."""

import collections
import pickle
import zipfile
from pathlib import Path
from typing import Any, Final, cast

from engines.contract import Voice
from engines.model_files import unreadable
from engines.openai_voices import OPENAI_VOICES

FILE: Final = "speakers_xtts.pth"

MOST: Final = 1_000
"""Maximum number of speakers; XTTS-v2 has 58."""

LONGEST_INDEX: Final = 4 * 1024 * 1024
"""Maximum size of the file's index of names and offsets, in bytes."""


def speakers(folder: Path) -> tuple[Voice, ...]:
    """List the speakers in ``folder``; empty without a file of them. Needs no torch.

    The first ones have OpenAI's voice names as aliases, in order, for clients that know no others.

    Raises:
        EngineUnavailable: The file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return ()
    try:
        names = [name for name in _index(path) if isinstance(name, str)][:MOST]
    except Exception as error:  # a malformed file may raise any exception
        raise unreadable(path, "it is not a speaker file in Coqui's format") from error
    return tuple(
        Voice(id=name, name=name, aliases=OPENAI_VOICES[place : place + 1])
        for place, name in enumerate(names)
    )


def _index(path: Path) -> dict[Any, Any]:
    with zipfile.ZipFile(path) as archive:
        member = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
        if archive.getinfo(member).file_size > LONGEST_INDEX:
            raise ValueError("the index is too long")
        with archive.open(member) as file:
            found: Any = _Names(file).load()
    if not isinstance(found, dict):
        raise ValueError("no dictionary")  # noqa: TRY004 - the caller's word for a wrong file
    return cast("dict[Any, Any]", found)


class _Names(pickle.Unpickler):
    """Reads only the structure of a pickle: all other objects become placeholders."""

    def find_class(self, module_name: str, global_name: str) -> Any:  # noqa: ANN401 - as the base class
        if (module_name, global_name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        return _Placeholder

    def persistent_load(self, pid: Any) -> Any:  # noqa: ANN401 - as above
        del pid
        return _Placeholder()


class _Placeholder:
    """Stands for a tensor; accepts any arguments, and does nothing."""

    def __init__(self, *_given: object) -> None:
        pass

    def __call__(self, *_given: object) -> "_Placeholder":
        return self

    def __setstate__(self, _state: object) -> None:
        pass
