"""The text front end: sentences, chunks, normalisation, Markdown and emoji, SSML, lexicons."""

from engines.text.frontend import plan
from engines.text.passage import Passage, TextError, TextOptions
from engines.text.stretches import Stretch

__all__ = ["Passage", "Stretch", "TextError", "TextOptions", "plan"]
