"""Errors of examining a recording.

Exceptions::

    BadSample       the file is unusable; the message says why
    ExaminerBusy    too many recordings are being examined; try again
"""


class BadSample(Exception):  # noqa: N818 - named for the cause
    """The file cannot be used.

    Args:
        code: Short identifier in snake_case.
        message: Explanation for the person who uploaded the file.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ExaminerBusy(Exception):  # noqa: N818 - named for the state
    """No slot for a child process became free in time.

    Args:
        retry_after: Seconds after which one is likely to be free.
    """

    def __init__(self, retry_after: float) -> None:
        super().__init__("Too many recordings are being examined.")
        self.retry_after = retry_after
