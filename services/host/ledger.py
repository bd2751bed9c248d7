"""Who has how much memory: a file for each engine of the host that is loaded, or about to be.

A file is written by the engine's runner. One whose runner has died counts for nothing.
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
    """What one engine has.

    Attributes:
        engine: Its name.
        address: Its runner's, see :class:`services.wire.client.EngineClient`; none where nobody reaches it.
        pid: Its runner's process.
        started: When that process was started, in Unix seconds: ids of processes are used again.
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
        """What it has."""
        return Memory(self.ram, self.vram)

    @property
    def alive(self) -> bool:
        """Whether its runner lives."""
        try:
            return psutil.Process(self.pid).create_time() == self.started
        except psutil.Error:
            return False


class MemoryLedger:
    """The files, as the runner of one engine sees them.

    Args:
        folder: Where they are; made with the first.
        engine: This engine's name.
    """

    def __init__(self, folder: Path, engine: str) -> None:
        self._folder = folder
        self._engine = engine
        self._path = folder / f"{engine.lower()}.json"

    def others(self) -> Sequence[Entry]:
        """What the other engines have."""
        entries: list[Entry] = []
        for path in sorted(self._folder.glob("*.json")):
            if path == self._path:
                continue
            try:
                entry = Entry.model_validate_json(path.read_bytes())
            except FileNotFoundError:  # given back just now
                continue
            except (OSError, ValidationError) as error:
                logger.warning("cannot read %s: %s", path, error)
                continue
            if entry.alive:
                entries.append(entry)
        return entries

    def write(self, memory: Memory, address: str | None) -> None:
        """Enter what this engine has, in place of what stood there.

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
        new.replace(self._path)  # whoever reads meanwhile reads the one or the other

    def erase(self) -> None:
        """This engine has nothing any more."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("cannot remove %s: %s", self._path, error)
