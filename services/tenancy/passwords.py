"""Passwords: argon2id with the library's parameters, which follow RFC 9106's second recommendation."""

from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from services.tenancy.turns import Turns
from services.threads import in_thread
from storage.transactions import refuse_while_writing

SHORTEST: Final = 10
"""Characters; NIST SP 800-63B asks for 8 at least, and against rules on their kinds."""

LONGEST: Final = 200

AT_ONCE: Final = 2
"""Hashes computed at once in one process: each takes 64 MiB."""

WAIT: Final = 10.0
"""Seconds to wait for a turn."""

MOST_WAITING: Final = 100
"""Hashes that one tenant may wait for at once in one process."""


class Passwords:
    """Makes and checks hashes, off the event loop, and never while a transaction that writes is open.

    Each takes a core for a tenth of a second: tenants take turns, and none has all of them.
    """

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._turns = Turns(AT_ONCE, most=MOST_WAITING)
        self._nobody: str | None = None

    async def hash(self, password: str, *, whose: str = "") -> str:
        """The hash that is kept.

        Args:
            password: It.
            whose: Who waits for it: a tenant's id.

        Raises:
            TimeoutError: Too many others are at it.
        """
        refuse_while_writing("a password is hashed")
        async with self._turns.turn(whose, seconds=WAIT):
            return await in_thread(self._hasher.hash, password)

    async def verify(self, password: str, password_hash: str | None, *, whose: str = "") -> bool:
        """Whether it is the password of that hash. Takes as long when there is no hash.

        Args:
            password: What was given.
            password_hash: What is kept.
            whose: Who waits for it: a tenant's id.

        Raises:
            TimeoutError: Too many others are at it.
        """
        refuse_while_writing("a password is checked")
        if self._nobody is None:
            self._nobody = await self.hash("nobody's")
        async with self._turns.turn(whose, seconds=WAIT):
            good = await in_thread(self._check, password, password_hash or self._nobody)
        return good and password_hash is not None

    def _check(self, password: str, password_hash: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerifyMismatchError, VerificationError, InvalidHashError):
            return False
