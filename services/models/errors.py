"""What goes wrong with models."""


class ModelError(Exception):
    """A model is unavailable or invalid.

    Args:
        message: What happened.
        hint: What to do about it.
        reason: The cause alone, where the message is longer.
    """

    def __init__(self, message: str, hint: str | None = None, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.reason = reason or message


class SourceError(Exception):
    """A source does not give what it should; another may. The message says why, in one line.

    Args:
        message: The reason.
        remedy: What helps; a sentence.
    """

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.remedy = remedy


class SourceDownError(SourceError):
    """The source as a whole does not answer; none of its other files would come either.

    Args:
        message: The reason.
        remedy: What helps, where it is not time.
    """


class WrongError(SourceError):
    """What came is not what it should be."""


def reason_of(error: Exception) -> str:
    """What an exception of any kind says, in one line."""
    if isinstance(error, ModelError):
        return error.reason
    if isinstance(error, SourceError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    kind, text = type(error).__name__, " ".join(str(error).split())
    return f"{kind}: {text}" if text else kind
