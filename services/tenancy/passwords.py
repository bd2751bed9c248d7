"""Checking, hashing and verifying passwords.

Hashes are argon2id with the library's parameters, which follow RFC 9106's second recommendation. They are
computed in a separate thread pool, so that a flood of logins delays nothing else, and never during a write
transaction.
"""

import asyncio
import threading
import unicodedata
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, ParamSpec, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from services.addresses import subscriber_of
from services.errors import ApiError, invalid, retry_headers
from services.tenancy.strength import weakness
from storage.transactions import refuse_while_writing

P = ParamSpec("P")
T = TypeVar("T")

SHORTEST: Final = 10
"""Minimum number of characters; NIST SP 800-63B requires 8, and advises against composition rules."""

MAX_PASSWORD_BYTES: Final = 256
"""Maximum length, both in bytes of the normalised UTF-8 and in characters as typed."""

AT_ONCE: Final = 2
"""Number of hashes computed concurrently per process: each takes 64 MiB and about 50 ms."""

QUEUE: Final = 64
"""Maximum number of running and waiting hashes per process: about two seconds of work."""

SHARE: Final = 16
"""Maximum number of those from one address, which many users may share."""

RETRY_SECONDS: Final = 2.0
"""Seconds after which a refused client may retry."""


class Passwords:
    """Creates and verifies hashes in a thread pool.

    Passwords are normalised to NFKC, since keyboards encode the same letter in different ways.
    """

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="passwords")
        # Reentrant, because a cancelled hash releases its place within _has_room.
        self._lock = threading.RLock()
        self._places: dict[str, list[Future[Any]]] = {}
        self._nobody: str | None = None

    async def hash(self, password: str, *, about: Iterable[str] = (), address: str | None = None) -> str:
        """Check the strength of a new password, and return the hash to store.

        Args:
            password: The password as typed.
            about: Public facts about its owner, such as e-mail address, name and organisation; they add no
                strength.
            address: The client's address; addresses share the queue.

        Raises:
            ApiError: 400 with the code ``password_too_short``, ``password_too_long`` or
                ``password_too_weak``; 429 if too many passwords are being hashed.
        """
        text = _normal(password)
        if len(text) < SHORTEST:
            raise invalid(f"Passwords need at least {SHORTEST} characters.", "password", "password_too_short")
        if len(text.encode()) > MAX_PASSWORD_BYTES or len(password) > MAX_PASSWORD_BYTES:
            raise invalid(
                f"Passwords can have at most {MAX_PASSWORD_BYTES} bytes.", "password", "password_too_long"
            )
        return await self._run(address, self._make, text, tuple(about))

    async def verify(self, password: str, password_hash: str | None, *, address: str | None = None) -> bool:
        """Whether a password matches a hash. Takes the same time without a hash.

        Args:
            password: The password as typed.
            password_hash: The stored hash; ``None`` for an unknown user.
            address: The client's address; addresses share the queue.

        Raises:
            ApiError: 429 if too many passwords are being hashed.
        """
        # Old hashes are of the input before normalisation.
        texts = tuple(dict.fromkeys((_normal(password), password)))
        return await self._run(address, self._check, texts, password_hash)

    def _make(self, text: str, about: tuple[str, ...]) -> str:
        if (why := weakness(text, about)) is not None:
            raise invalid(f"The password is too easy to guess. {why}", "password", "password_too_weak")
        return self._hasher.hash(text)

    def _check(self, texts: tuple[str, ...], password_hash: str | None) -> bool:
        if self._nobody is None:
            self._nobody = self._hasher.hash("nobody's")
        wanted = password_hash or self._nobody
        # Check all texts, so that the time does not reveal which one matches.
        found = [self._is(text, wanted) for text in texts]
        return any(found) and password_hash is not None

    def _is(self, text: str, password_hash: str) -> bool:
        try:
            return self._hasher.verify(password_hash, text)
        except (VerifyMismatchError, VerificationError, InvalidHashError):
            return False

    async def _run(self, address: str | None, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        refuse_while_writing("a password is hashed")
        sharer = "" if address is None else subscriber_of(address)
        with self._lock:
            if not self._has_room(sharer):
                raise _busy()
            future = self._threads.submit(work, *args, **kwargs)
            self._places.setdefault(sharer, []).append(future)
        # If the caller disconnects, the place is released at once if the work has not begun, else at its end.
        future.add_done_callback(lambda done: self._give_back(sharer, done))
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and not task.cancelling():
                # Another address, with fewer places, took the place.
                raise _busy() from None
            raise

    def _has_room(self, sharer: str) -> bool:
        """Whether an address may take a place; if none is free, take one from the address with the most."""
        mine = len(self._places.get(sharer, ()))
        if mine >= SHARE:
            return False
        if sum(map(len, self._places.values())) < QUEUE:
            return True
        fullest = max(self._places.values(), key=len)
        return len(fullest) > mine + 1 and fullest[-1].cancel()

    def _give_back(self, sharer: str, done: Future[Any]) -> None:
        with self._lock:
            self._places[sharer].remove(done)
            if not self._places[sharer]:
                del self._places[sharer]


def _busy() -> ApiError:
    return ApiError(
        429,
        "Too many passwords are being checked; try again shortly.",
        kind="rate_limit_exceeded",
        code="too_many_logins",
        headers=retry_headers(RETRY_SECONDS),
    )


def _normal(password: str) -> str:
    return unicodedata.normalize("NFKC", password)
