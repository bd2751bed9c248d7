"""Whether the weights of an engine are there, and what to do where they are not."""

from dataclasses import dataclass
from pathlib import Path

from engines.config import EngineConfig
from services.models.errors import ModelError
from services.models.folder import readable, wrong_size
from services.models.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Weights:
    """The model that an engine takes when its settings name no folder.

    Attributes:
        manifest: The model.
        folder: Where it lies, or will.
    """

    manifest: Manifest
    folder: Path

    def placed(self, engine: EngineConfig) -> EngineConfig:
        """The engine with the folder of its model, whether that is there or not."""
        return engine.model_copy(update={"model_path": self.folder})

    @property
    def missing(self) -> str | None:
        """What has to be fetched, and how, in a sentence; ``None`` where all is there.

        Asked often: it looks at the sizes of the files. One that is still being copied is not there.
        """
        command = f"awaaztwin models pull {self.manifest.name}{self.manifest.acceptance}"
        try:
            with readable(self.folder):
                fetched = self.folder.exists()
            problems = [(f.path, wrong_size(self.folder / f.path, f)) for f in self.manifest.required]
        except ModelError as error:
            return error.message
        if not fetched:
            return f"The weights of {self.manifest.title} have not been fetched. `{command}` fetches them."
        lacking = next((f"{path} {problem}" for path, problem in problems if problem is not None), None)
        if lacking is None:
            return None
        return (
            f"The weights of {self.manifest.title} in {self.folder} are incomplete: {lacking}. `{command}` "
            "completes them; for weights of your own, set the engine's `model_path` to their folder."
        )
