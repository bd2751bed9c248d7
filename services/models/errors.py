"""Errors of models and of their sources."""


class ModelError(Exception):
    """A model is unavailable or invalid.

    Args:
        message: Description of the error.
        hint: Remedy.
        reason: The cause alone; by default the message.
    """

    def __init__(self, message: str, hint: str | None = None, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.reason = reason or message


class SourceError(Exception):
    """A source does not provide a file; another source may.

    Args:
        message: The reason, in one line.
        remedy: Remedy, as a sentence.
    """

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.remedy = remedy


class SourceDownError(SourceError):
    """The source as a whole is unavailable: its other files would fail too.

    Args:
        message: The reason, in one line.
        remedy: Remedy, as a sentence; ``None`` if trying again later may help.
    """


class WrongError(SourceError):
    """The received contents are not the expected ones."""


def reason_of(error: Exception) -> str:
    """Describe an exception of any type in one line."""
    if isinstance(error, ModelError):
        return error.reason
    if isinstance(error, SourceError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    kind, text = type(error).__name__, " ".join(str(error).split())
    return f"{kind}: {text}" if text else kind
