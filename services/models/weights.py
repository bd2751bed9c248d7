"""Check that an engine's weights are present, with a remedy if they are not."""

from dataclasses import dataclass
from pathlib import Path

from engines.config import EngineConfig
from services.models.errors import ModelError
from services.models.folder import readable, wrong_size
from services.models.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Weights:
    """The model that an engine uses if its ``model_path`` is not set.

    Attributes:
        manifest: The model.
        folder: The model's folder, which need not exist yet.
    """

    manifest: Manifest
    folder: Path

    def placed(self, engine: EngineConfig) -> EngineConfig:
        """Return the engine's settings with ``model_path`` set to the model's folder."""
        return engine.model_copy(update={"model_path": self.folder})

    @property
    def missing(self) -> str | None:
        """Description of what is missing, and how to fetch it; ``None`` if the weights are complete.

        Checks only the files' sizes, since it is called often. A file that is still being copied counts as
        missing.
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
