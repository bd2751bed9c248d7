"""Prints PyTorch's devices as JSON."""

import json
import sys
from importlib import import_module
from typing import Any


def main() -> None:
    """Query PyTorch; an error is printed as the last line on standard error."""
    try:
        # By name: it is not a dependency, and its types are not needed here.
        torch: Any = import_module("torch")
    except (ImportError, OSError) as error:
        sys.exit(str(error))
    cuda = [str(torch.cuda.get_device_name(i)) for i in range(torch.cuda.device_count())]
    mps = bool(torch.backends.mps.is_available())
    sys.stdout.write(json.dumps({"version": str(torch.__version__), "cuda": cuda, "mps": mps}) + "\n")


if __name__ == "__main__":
    main()
