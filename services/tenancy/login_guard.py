"""Limits guessing of passwords, tokens and invitations.

Only failures are counted, for three keys:

- The pair of account and address must wait after a few failures, longer after each further one.
- The account from any address, and the address for any account, must wait after many failures. These waits
  do not apply to a pair that has succeeded in the last :data:`KNOWN_SECONDS`.

So an attacker can lock out neither the account's owner at their usual address, nor other users behind the
attacker's address.
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
"""Seconds for which an account stays known at an address after a success."""

PER_ACCOUNT: Final = 4
"""Factor of the free failures of an account from any address, relative to those of a pair."""

PER_ADDRESS: Final = 10
"""Factor of the free failures of an address, relative to those of a pair: many users may share an address."""

MAX_WIDE_WAIT_SECONDS: Final = 60.0
"""Maximum wait in seconds that users of one account or one address can cause each other."""


class LoginGuard:
    """Decides whether an attempt must wait.

    Call :meth:`check` before any expensive work, then :meth:`failed` or :meth:`succeeded`.

    Args:
        counters: The counters of failures.
        config: The settings.
        realm: Kind of the attempts; each kind is counted separately.
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
            address: The client's address, if it is known.
            account: The target of the attempt, such as an e-mail address or a token's hash.
                It need not exist.

        Raises:
            ApiError: 429 with ``Retry-After``; 503 if the failures cannot be read.
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
        """Count a failure. Errors are ignored, since :meth:`check` refuses attempts while counting fails."""
        pair, wide = self._marks(address, account)
        try:
            await self._counters.attempts.fail(pair, wide)
        except CountersUnavailable:
            return

    async def succeeded(self, address: str | None, account: str) -> None:
        """Reset the failures of the account at this address, and mark the pair as known."""
        pair, _ = self._marks(address, account)
        try:
            await self._counters.attempts.succeed(pair.name, seconds=KNOWN_SECONDS)
        except CountersUnavailable:
            return

    def _marks(self, address: str | None, account: str) -> tuple[Mark, list[Mark]]:
        # Accounts are case-insensitive. Names are hashed, so the input itself is not stored.
        who = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", account).casefold())
        where = None if address is None else subscriber_of(address)
        wide = [Mark(self._name("account", who), self._account)]
        if where is not None:
            wide.append(Mark(self._name("address", where), self._address))
        return Mark(self._name("pair", f"{where}\n{who}"), self._pair), wide

    def _name(self, kind: str, text: str) -> str:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return f"{self._realm}:{kind}:{digest}"
