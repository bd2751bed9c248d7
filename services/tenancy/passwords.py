"""Passwords: argon2id with the library's parameters, which follow RFC 9106's second recommendation."""

import asyncio
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from services.threads import in_thread

SHORTEST: Final = 10
"""Characters; NIST SP 800-63B asks for 8 at least, and against rules on their kinds."""

LONGEST: Final = 200

AT_ONCE: Final = 2
"""Hashes computed at once in one process: each takes 64 MiB."""

WAIT: Final = 10.0
"""Seconds to wait for a turn."""


class Passwords:
    """Makes and checks hashes, off the event loop."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        """The hash that is kept.

        Raises:
            TimeoutError: Too many others are at it.
        """
        async with asyncio.timeout(WAIT):
            await self._turns.acquire()
        try:
            return await in_thread(self._hasher.hash, password)
        finally:
            self._turns.release()

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether it is the password of that hash. Takes as long when there is no hash.

        Raises:
            TimeoutError: Too many others are at it.
        """
        if self._nobody is None:
            self._nobody = await self.hash("nobody's")
        async with asyncio.timeout(WAIT):
            await self._turns.acquire()
        try:
            good = await in_thread(self._check, password, password_hash or self._nobody)
        finally:
            self._turns.release()
        return good and password_hash is not None

    def _check(self, password: str, password_hash: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerifyMismatchError, VerificationError, InvalidHashError):
            return False
