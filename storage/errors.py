"""What goes wrong when something is kept or looked up."""

from pathlib import Path


class StorageError(Exception):
    """The root of the storage's errors."""


class StorageUnavailable(StorageError):  # noqa: N818 - named for the state
    """The database or another part is away for now; trying again later may work.

    Args:
        part: What is away: ``database``, ``objects``.
        reason: Why, for the operator; holds no secrets.
        retry_after: Seconds after which to try again.
    """

    def __init__(self, part: str, reason: str, *, retry_after: float = 2.0) -> None:
        super().__init__(f"The {part} cannot be reached: {reason}")
        self.part = part
        self.reason = reason
        self.retry_after = retry_after


def scarce(setting: str, folder: Path, free: int, least: int) -> str:
    """The reason why nothing is written to a disk that is as good as full; sizes in bytes."""
    return f"{folder} ({setting}) has {free / 1e6:.0f} MB free and needs {least / 1e6:.0f} MB"


class Conflict(StorageError):  # noqa: N818 - named for the cause
    """What was to be kept contradicts what is kept already, such as a name that is taken.

    Args:
        message: What contradicts.
        param: The field at fault.
    """

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class AccountMissing(StorageError):  # noqa: N818 - named for the cause
    """The account was never opened.

    Args:
        account: Of the ledger.
    """

    def __init__(self, account: str) -> None:
        super().__init__(account)
        self.account = account


class OverQuota(StorageError):  # noqa: N818 - named for the cause
    """A reservation would spend more than the limit.

    Args:
        account: Of the ledger.
        limit: Of the account.
        used: Spent or reserved already.
        wanted: What was asked for on top.
    """

    def __init__(self, account: str, *, limit: int, used: int, wanted: int) -> None:
        super().__init__(f"{account}: {used} of {limit} are used, {wanted} more were asked for")
        self.account = account
        self.limit = limit
        self.used = used
        self.wanted = wanted
