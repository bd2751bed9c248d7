"""What is wrong with a text."""


class TextError(ValueError):
    """The text, the language or the lexicon cannot be spoken as given.

    Args:
        message: What is wrong, for the person who wrote it.
        param: The request field at fault.
        code: What is wrong, for programs.
    """

    def __init__(self, message: str, param: str = "input", code: str = "invalid_input") -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code
