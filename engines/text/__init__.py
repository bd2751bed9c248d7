"""The text front end: cleaning, Markdown, emoji, SSML, lexicons, normalisation, sentences and chunks."""

from engines.text.errors import TextError
from engines.text.frontend import plan, steps
from engines.text.passage import Passage, TextOptions
from engines.text.stretches import Stretch

__all__ = ["Passage", "Stretch", "TextError", "TextOptions", "plan", "steps"]
