"""Limits guessing of passwords, tokens and invitations.

Failures are counted, successes are not. An account from one address has to wait after a few failures, longer
after each one more. Beside that, an account from anywhere and an address for any account have to wait after
many; but never a pair of both that has succeeded in the last :data:`KNOWN_SECONDS`. So a stranger who guesses
keeps neither the account's owner from the places where they log in, nor the others behind an address.
"""

import hashlib
import unicodedata
from typing import Final

from services.addresses import subscriber_of
from services.config import AuthConfig
from services.counters.attempts import Mark, Slope
from services.counters.contract import Counters, CountersUnavailable
from services.errors import ApiError, retry_headers

KNOWN_SECONDS: Final = 30 * 86_400.0
"""Seconds that an account is known at an address after a success."""

PER_ACCOUNT: Final = 4
"""Failures of an account from anywhere for each that one address has."""

PER_ADDRESS: Final = 10
"""Failures of an address for each that one account has: many people share an address."""

MAX_WIDE_WAIT_SECONDS: Final = 60.0
"""Seconds of the longest wait that strangers cause each other."""


class LoginGuard:
    """Decides whether an attempt has to wait.

    Call :meth:`check` before anything that costs time, then :meth:`failed` or :meth:`succeeded`.

    Args:
        counters: Store the failures.
        config: The settings.
        realm: The kind of attempt; each is counted separately.
    """

    def __init__(self, counters: Counters, config: AuthConfig, *, realm: str = "login") -> None:
        self._counters = counters
        self._realm = realm
        failures, seconds = config.max_login_failures, config.login_window_seconds
        wide = min(seconds, MAX_WIDE_WAIT_SECONDS)
        self._pair = Slope(free=failures, seconds=seconds, most=seconds)
        self._account = Slope(free=failures * PER_ACCOUNT, seconds=seconds, most=wide)
        self._address = Slope(free=failures * PER_ADDRESS, seconds=seconds, most=wide)

    async def check(self, address: str | None, account: str) -> None:
        """Refuse an attempt that comes too soon.

        Args:
            address: Of the client, if it is known.
            account: What is guessed at: an e-mail address, or a user's id; whether it exists or not.

        Raises:
            ApiError: 429 with ``Retry-After``; 503 when failures cannot be counted.
        """
        pair, wide = self._marks(address, account)
        try:
            seconds = await self._counters.attempts.wait(pair.name, [mark.name for mark in wide])
        except CountersUnavailable as error:
            message, headers = "Login attempts cannot be checked now; try again shortly.", retry_headers(2)
            raise ApiError(503, message, kind="server_error", headers=headers) from error
        if seconds > 0:
            raise ApiError(
                429,
                "Too many failed attempts; wait before trying again.",
                kind="rate_limit_exceeded",
                code="too_many_logins",
                headers=retry_headers(seconds),
            )

    async def failed(self, address: str | None, account: str) -> None:
        """Count a failure. While counting is impossible, :meth:`check` refuses all attempts."""
        pair, wide = self._marks(address, account)
        try:
            await self._counters.attempts.fail(pair, wide)
        except CountersUnavailable:
            return

    async def succeeded(self, address: str | None, account: str) -> None:
        """Forget the failures of the account at this address, and know it there."""
        pair, _ = self._marks(address, account)
        try:
            await self._counters.attempts.succeed(pair.name, seconds=KNOWN_SECONDS)
        except CountersUnavailable:
            return

    def _marks(self, address: str | None, account: str) -> tuple[Mark, list[Mark]]:
        # Accounts are case-insensitive, so they are counted so; the input itself is not kept.
        who = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", account).casefold())
        where = None if address is None else subscriber_of(address)
        wide = [Mark(self._name("account", who), self._account)]
        if where is not None:
            wide.append(Mark(self._name("address", where), self._address))
        return Mark(self._name("pair", f"{where}\n{who}"), self._pair), wide

    def _name(self, kind: str, text: str) -> str:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return f"{self._realm}:{kind}:{digest}"
