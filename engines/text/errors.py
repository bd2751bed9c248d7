"""Errors of texts."""


class TextError(ValueError):
    """The text, the language or the lexicon cannot be spoken as given.

    Args:
        message: For the author of the text.
        param: The request field at fault.
        code: Machine-readable.
    """

    def __init__(self, message: str, param: str = "input", code: str = "invalid_input") -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code
