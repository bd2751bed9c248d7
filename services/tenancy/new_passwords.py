"""Passwords that are chosen: checked, and hashed before any transaction begins."""

from services.errors import ApiError, invalid, retry_headers
from services.tenancy.passwords import SHORTEST, Passwords


async def hash_new(passwords: Passwords, password: str, *, whose: str, param: str = "password") -> str:
    """The hash of a password that somebody chooses.

    Args:
        passwords: Makes it.
        password: What is chosen.
        whose: Who waits for it: a tenant's id.
        param: The request's field.

    Raises:
        ApiError: 400, the password is too weak; 503, too many are hashed now.
    """
    check_new(password, param=param)
    try:
        return await passwords.hash(password, whose=whose)
    except TimeoutError as error:
        raise too_many() from error


def check_new(password: str, *, param: str = "password") -> None:
    """Refuse a password that is too weak.

    Raises:
        ApiError: 400.
    """
    if len(password) < SHORTEST:
        raise invalid(f"A password has at least {SHORTEST} characters.", param, "password_too_short")


def too_many() -> ApiError:
    """A 503 for more passwords at once than this process hashes."""
    message = "Too many passwords are checked at once; try again shortly."
    return ApiError(503, message, kind="server_error", headers=retry_headers(2))
