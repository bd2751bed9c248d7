"""Import of the unmodified coqui-tts, on machines with or without CUDA.

Without CUDA, two things prevent that (coqui-tts 0.28, torch 2.13, torchaudio 2.11):

- torchaudio's wheels contain a native extension linked against CUDA. XTTS needs only mel spectrograms,
  which are in torchaudio's Python part and work without the extension.
- coqui-tts checks for torchcodec, to read files. It is not needed: audio is passed as samples.
"""

import contextlib
import importlib
import importlib.machinery
import importlib.util
import sys
import threading
from collections.abc import Generator
from types import ModuleType
from typing import Any, Final

from engines.contract import EngineUnavailable

_EXTENSION: Final = "torchaudio._extension"
_CODEC: Final = "torchcodec"
_importing = threading.RLock()


def coqui(name: str) -> Any:  # noqa: ANN401 - the package has no types of its own
    """Return the module ``TTS.<name>`` of coqui-tts. The first call blocks for seconds.

    Raises:
        EngineUnavailable: coqui-tts or a dependency is not installed; the message says how to install it.
    """
    try:
        with _importing:
            _make_torchaudio_importable()
            with _torchcodec_claimed():
                return importlib.import_module(f"TTS.{name}")
    except ImportError as error:
        message = f"coqui-tts could not be imported ({error}). Run `pip install 'awaaztwin[xtts]'`."
        raise EngineUnavailable(message, retry_after=60.0) from error


def _make_torchaudio_importable() -> None:
    """Import torchaudio, without its native extension if that does not load."""
    if "torchaudio" in sys.modules:
        return
    try:
        importlib.import_module("torchaudio")
    except OSError:
        for loaded in [module for module in sys.modules if module.partition(".")[0] == "torchaudio"]:
            del sys.modules[loaded]
        absent = ModuleType(_EXTENSION)
        absent.__dict__.update(_IS_TORCHAUDIO_EXT_AVAILABLE=False, _IS_ALIGN_AVAILABLE=False)
        absent.__dict__["fail_if_no_align"] = _unchanged
        sys.modules[_EXTENSION] = absent
        importlib.import_module("torchaudio")


def _unchanged(function: Any) -> Any:  # noqa: ANN401 - a decorator of whatever it is given
    return function


@contextlib.contextmanager
def _torchcodec_claimed() -> Generator[None, None, None]:
    """Pretend that torchcodec is installed while coqui-tts checks for it; it is not imported."""
    if "TTS" in sys.modules or importlib.util.find_spec(_CODEC) is not None:
        yield
        return
    claimed = ModuleType(_CODEC)
    claimed.__spec__ = importlib.machinery.ModuleSpec(_CODEC, None)
    sys.modules[_CODEC] = claimed
    try:
        importlib.import_module("TTS")
    finally:
        del sys.modules[_CODEC]
    yield
