"""The error of the text front end."""


class TextError(ValueError):
    """The text, the language or the lexicon is invalid.

    Args:
        message: Description for the author of the text.
        param: The request field that causes the error.
        code: Machine-readable code.
    """

    def __init__(self, message: str, param: str = "input", code: str = "invalid_input") -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code
