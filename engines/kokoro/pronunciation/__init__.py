"""Pronunciation of a text: conversion of its characters to the symbols that the model was trained on."""

from engines.kokoro.pronunciation.languages import LANGUAGES
from engines.kokoro.pronunciation.phrase import Phrase, SpokenWord
from engines.kokoro.pronunciation.pronouncer import Pronouncer
from engines.kokoro.pronunciation.vocabulary import VOCABULARY

__all__ = ["LANGUAGES", "VOCABULARY", "Phrase", "Pronouncer", "SpokenWord"]
