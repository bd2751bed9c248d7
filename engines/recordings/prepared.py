"""Checks of prepared voices."""

from engines.contract import UnsupportedUtterance, VoiceEmbeddingRef


def check_model(prepared: VoiceEmbeddingRef, model: str) -> None:
    """Refuse a voice that was prepared for another model than ``model``.

    Raises:
        UnsupportedUtterance: It was.
    """
    if prepared.model != model:
        raise UnsupportedUtterance(
            f"The voice was prepared for {prepared.model}, not for {model}. Prepare it again.", param="voice"
        )
