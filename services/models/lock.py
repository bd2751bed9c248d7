"""The lock of a model: only one process at a time changes its files."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from services.models.errors import ModelError
from services.models.folder import ModelFolder
from services.models.manifest import Manifest


@contextmanager
def held(
    manifest: Manifest, folder: ModelFolder, waiting: Callable[[], None] | None
) -> Generator[bool, None, None]:
    """Hold a model's lock during the block; yields whether it had to wait for another process.

    Args:
        manifest: The model.
        folder: The folder of all models; created if missing.
        waiting: Called before waiting for another process; ``None`` to fail instead of waiting.

    Raises:
        ModelError: Another process holds the lock and ``waiting`` is ``None``, or the file system does not
            support locks.
        OSError: The folder cannot be written.
    """
    folder.root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.root / f".lock-{manifest.name}")
    waited = False
    try:
        lock.acquire(timeout=0)
    except NotImplementedError as error:
        raise ModelError(
            f"The file system of {folder.root} has no locks.",
            "Name another folder: models.folder, or AWAAZTWIN_MODELS.",
        ) from error
    except Timeout:
        if waiting is None:
            raise ModelError(
                f"{manifest.name} is being pulled by another process.",
                "Wait for it, or end it, and try again.",
            ) from None
        waited = True
        waiting()
        lock.acquire()
    try:
        yield waited
    finally:
        lock.release()
