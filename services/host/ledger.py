"""The memory ledger: a file for each engine of the host that is loaded, or about to be.

A file is written by the engine's runner. The file of a dead runner is ignored.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engines.memory import Memory

logger = logging.getLogger(__name__)


class Entry(BaseModel):
    """The memory of one engine.

    Attributes:
        engine: Its name.
        address: Its runner's, see :class:`services.wire.client.EngineClient`; none if it cannot be reached.
        pid: Its runner's process.
        started: When that process was started, in Unix seconds: process ids are reused.
        ram: Bytes of main memory.
        vram: Bytes of the GPU's.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    engine: str
    address: str | None
    pid: int
    started: float
    ram: int = Field(ge=0)
    vram: int = Field(ge=0)

    @property
    def memory(self) -> Memory:
        """Its memory."""
        return Memory(self.ram, self.vram)

    @property
    def alive(self) -> bool:
        """Whether its runner is alive."""
        try:
            return psutil.Process(self.pid).create_time() == self.started
        except psutil.Error:
            return False


class MemoryLedger:
    """The files, as the runner of one engine sees them.

    Args:
        folder: Their folder; created with the first.
        engine: This engine's name.
    """

    def __init__(self, folder: Path, engine: str) -> None:
        self._folder = folder
        self._engine = engine
        self._path = folder / f"{engine.lower()}.json"

    def others(self) -> Sequence[Entry]:
        """The entries of the other engines."""
        entries: list[Entry] = []
        for path in sorted(self._folder.glob("*.json")):
            if path == self._path:
                continue
            try:
                entry = Entry.model_validate_json(path.read_bytes())
            except FileNotFoundError:  # just released
                continue
            except (OSError, ValidationError) as error:
                logger.warning("cannot read %s: %s", path, error)
                continue
            if entry.alive:
                entries.append(entry)
        return entries

    def write(self, memory: Memory, address: str | None) -> None:
        """Write this engine's entry, replacing an earlier one.

        Raises:
            OSError: The file cannot be written.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        entry = Entry(
            engine=self._engine,
            address=address,
            pid=os.getpid(),
            started=psutil.Process().create_time(),
            ram=memory.ram,
            vram=memory.vram,
        )
        new = self._path.with_suffix(f".{os.getpid()}")
        new.write_text(entry.model_dump_json(), encoding="utf-8")
        new.replace(self._path)  # concurrent readers see either the old or the new file

    def erase(self) -> None:
        """Remove this engine's entry."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("cannot remove %s: %s", self._path, error)
