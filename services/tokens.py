"""Access tokens (JWT, RFC 7519, HS256) and refresh tokens (random)."""

import base64
import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass
from typing import Any, Final

import jwt

from services.config import AuthConfig
from services.gate import SIGNING_SECRET, DatabaseGate
from storage.repositories.secrets import read_secret

ISSUER: Final = "awaaztwin"
ALGORITHM: Final = "HS256"
REFRESH_MARK: Final = "atr_"
INVITATION_MARK: Final = "ati_"
RESET_MARK: Final = "atp_"

_REFRESH: Final = re.compile(r"atr_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Claims of an access token, which are checked against the database in addition.

    Attributes:
        org_id: ID of the tenant.
        user_id: ID of the user, for a token from a login.
        family: ID of the login.
        key_id: ID of the API key, for a token from a key.
    """

    org_id: str
    user_id: str | None = None
    family: str | None = None
    key_id: str | None = None


class InvalidToken(ValueError):  # noqa: N818 - named for the state
    """The token was not issued by this server, was modified, or has expired.

    Args:
        message: Message for the client.
        expired: Whether the token is valid except for its age.
    """

    def __init__(self, message: str, *, expired: bool = False) -> None:
        super().__init__(message)
        self.expired = expired


class Tokens:
    """Signs and reads access tokens.

    Args:
        secret: Signing key, at least 32 bytes.
        seconds: Lifetime of a token.
    """

    def __init__(self, secret: str, *, seconds: float) -> None:
        self._secret = secret
        self.seconds = seconds

    def sign(self, claims: Claims, *, seconds: float | None = None) -> str:
        """Create a signed token.

        Args:
            claims: Claims of the token.
            seconds: Lifetime, if not the default.
        """
        now = int(time.time())
        payload: dict[str, Any] = {
            "iss": ISSUER,
            "iat": now,
            "exp": now + int(self.seconds if seconds is None else seconds),
            "jti": secrets.token_hex(8),
            "org": claims.org_id,
            "sub": claims.user_id or claims.key_id or "",
        }
        if claims.family is not None:
            payload["fam"] = claims.family
        if claims.key_id is not None:
            payload["key"] = claims.key_id
        return jwt.encode(payload, self._secret, ALGORITHM)

    def signature(self, *parts: str) -> str:
        """Compute the signature of a URL's parts: HMAC-SHA256, base64url without padding."""
        message = "\n".join(parts).encode()
        mac = hmac.digest(self._secret.encode(), b"url\n" + message, "sha256")
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()

    def read(self, token: str) -> Claims:
        """Verify a token and return its claims.

        Raises:
            InvalidToken: The token is invalid or has expired.
        """
        try:
            payload = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                options={"require": ["exp", "iat", "iss", "sub", "org"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise InvalidToken("The token has expired.", expired=True) from error
        except jwt.InvalidTokenError as error:
            raise InvalidToken("The token is not valid.") from error
        key_id = payload.get("key")
        return Claims(
            org_id=str(payload["org"]),
            user_id=None if key_id else str(payload["sub"]),
            family=payload.get("fam"),
            key_id=key_id,
        )


class TokenSigner:
    """Provides this server's :class:`Tokens`, whose secret is in the settings or else in the database.

    Args:
        gate: The database.
        config: The settings.
    """

    def __init__(self, gate: DatabaseGate, config: AuthConfig) -> None:
        self._gate = gate
        self._config = config
        self._tokens: Tokens | None = None

    async def tokens(self) -> Tokens:
        """Return the signer; the secret is read once.

        Raises:
            StorageError: The database cannot be opened now; the message gives the reason.
        """
        if self._tokens is None:
            configured = self._config.jwt_secret
            if configured is None:
                async with self._gate.read() as session:
                    secret = await read_secret(session, SIGNING_SECRET)
            else:
                secret = configured.get_secret_value()
            self._tokens = Tokens(secret, seconds=self._config.access_token_minutes * 60)
        return self._tokens


def make_refresh_token() -> str:
    """Generate a refresh token, of which only the hash is stored."""
    return _random(REFRESH_MARK)


def make_invitation_token() -> str:
    """Generate an invitation's token, of which only the hash is stored."""
    return _random(INVITATION_MARK)


def make_reset_token() -> str:
    """Generate a password reset token, of which only the hash is stored."""
    return _random(RESET_MARK)


def is_refresh_token(text: str) -> bool:
    """Whether a text has the format of a refresh token."""
    return _REFRESH.fullmatch(text) is not None


def hash_token(token: str) -> str:
    """Compute the stored hash of a random token: SHA-256, in hexadecimal."""
    return hashlib.sha256(token.encode()).hexdigest()


def _random(mark: str) -> str:
    return mark + secrets.token_urlsafe(32)
