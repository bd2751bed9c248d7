"""The text front end: sentences, chunks, normalisation, Markdown and emoji, SSML, lexicons."""

from engines.text.errors import TextError
from engines.text.frontend import plan, steps
from engines.text.passage import Passage, TextOptions
from engines.text.stretches import Stretch

__all__ = ["Passage", "Stretch", "TextError", "TextOptions", "plan", "steps"]
