"""A check of prepared voices."""

from engines.contract import UnsupportedUtterance, VoiceEmbeddingRef


def check_model(prepared: VoiceEmbeddingRef, model: str) -> None:
    """Check that a voice was prepared for ``model``.

    Raises:
        UnsupportedUtterance: It was prepared for another model.
    """
    if prepared.model != model:
        raise UnsupportedUtterance(
            f"The voice was prepared for {prepared.model}, not for {model}. Prepare it again.", param="voice"
        )
