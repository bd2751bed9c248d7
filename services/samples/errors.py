"""Why a recording was not taken.

Exceptions::

    BadSample       the file is at fault; says what was found
    ExaminerBusy    others are being examined; try again
"""


class BadSample(Exception):  # noqa: N818 - named for the cause
    """The file cannot be used.

    Args:
        code: Short, snake_case.
        message: What was found, for the person who uploaded it.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ExaminerBusy(Exception):  # noqa: N818 - named for the state
    """No child process was free in time.

    Args:
        retry_after: Seconds after which one is likely.
    """

    def __init__(self, retry_after: float) -> None:
        super().__init__("Too many recordings are being examined.")
        self.retry_after = retry_after
