"""The lock of a model: one process at a time changes what is there of it."""

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
    """Hold the lock while the block runs; gives whether another process had it first.

    Args:
        manifest: The model.
        folder: Where it goes; made when it is not there.
        waiting: Called before it waits for another process; without it, it does not wait.

    Raises:
        ModelError: Another process holds it, and nobody waits; or this file system has no locks.
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
