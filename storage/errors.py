"""Errors of the database and the object store."""

from pathlib import Path


class StorageError(Exception):
    """Base class of all storage errors."""


class StorageUnavailable(StorageError):  # noqa: N818 - named for the state
    """The database or the object store is temporarily unavailable; a retry may succeed.

    Args:
        part: The unavailable part: ``database`` or ``object store``.
        reason: Reason for the operator, without secrets.
        retry_after: Seconds after which to retry.
    """

    def __init__(self, part: str, reason: str, *, retry_after: float = 2.0) -> None:
        super().__init__(f"The {part} cannot be reached: {reason}")
        self.part = part
        self.reason = reason
        self.retry_after = retry_after


def scarce(setting: str, folder: Path, free: int, least: int) -> str:
    """Return the message for a disk with too little free space; sizes in bytes."""
    return f"{folder} ({setting}) has {free / 1e6:.0f} MB free and needs {least / 1e6:.0f} MB"


class Conflict(StorageError):  # noqa: N818 - named for the cause
    """A change conflicts with stored data, for example because a name is taken.

    Args:
        message: Description of the conflict.
        param: Name of the field that causes it.
    """

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class AccountMissing(StorageError):  # noqa: N818 - named for the cause
    """The account has not been opened.

    Args:
        account: Name of the ledger's account.
    """

    def __init__(self, account: str) -> None:
        super().__init__(account)
        self.account = account


class OverQuota(StorageError):  # noqa: N818 - named for the cause
    """A reservation would exceed the limit of an account.

    Args:
        account: Name of the ledger's account.
        limit: The account's limit.
        used: Amount that is already spent or reserved.
        wanted: Additional amount that was requested.
    """

    def __init__(self, account: str, *, limit: int, used: int, wanted: int) -> None:
        super().__init__(f"{account}: {used} of {limit} are used, {wanted} more were asked for")
        self.account = account
        self.limit = limit
        self.used = used
        self.wanted = wanted
