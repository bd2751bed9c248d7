"""``options`` of an engine of type ``KOKORO``."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from engines.config import StrictModel
from engines.kokoro.catalogue import checked_mixes

BackendChoice = Literal["auto", "onednn", "onnxruntime"]


class KokoroOptions(StrictModel):
    """Options of Kokoro: how it runs, and names for mixes of its voices."""

    backend: BackendChoice = Field(
        default="auto",
        description="Inference backend. `onednn`: AwaazTwin's decoder, on x86-64 with VNNI; "
        "`onnxruntime`: the whole graph, on any processor and on CUDA; `auto`: the first that works here.",
    )
    model_file: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="The `.onnx` file in `model_path`; by default `model.onnx`, or the only one.",
    )
    voices: Annotated[
        dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,63}$")], Annotated[str, Field(max_length=500)]],
        AfterValidator(checked_mixes),
    ] = Field(
        default_factory=dict[str, str],
        max_length=1_000,
        description="Names for mixes of voices: `asha: hf_alpha(2)+hf_beta(1)`.",
    )
    low_priority: bool = Field(
        default=True,
        description="Whether speech yields the CPU to the Gateway when both want it (Linux).",
    )
