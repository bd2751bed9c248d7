"""The memory ledger: one file for each engine on the host that is loaded or about to be.

The engine's runner writes the file. Files of dead runners are ignored.
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
        engine: Name of the engine.
        address: Address of its runner, see :class:`services.wire.client.EngineClient`; ``None`` if it cannot
            be reached.
        pid: Process ID of the runner.
        started: Unix time at which that process was started, since process IDs are reused.
        ram: Main memory in bytes.
        vram: GPU memory in bytes.
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
        """Main and GPU memory together."""
        return Memory(self.ram, self.vram)

    @property
    def alive(self) -> bool:
        """Whether the engine's runner is alive."""
        try:
            return psutil.Process(self.pid).create_time() == self.started
        except psutil.Error:
            return False


class MemoryLedger:
    """The ledger, for the runner of one engine.

    Args:
        folder: Folder of the files; created with the first file.
        engine: Name of the engine.
    """

    def __init__(self, folder: Path, engine: str) -> None:
        self._folder = folder
        self._engine = engine
        self._path = folder / f"{engine.lower()}.json"

    def others(self) -> Sequence[Entry]:
        """Return the entries of other engines whose runners are alive."""
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

        Args:
            memory: Memory of the engine.
            address: Address of this runner, if it has one.

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
