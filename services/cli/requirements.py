"""The server's dependencies beyond the base installation: the extra ``server``."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from typing import Final

SERVER_MODULES: Final[Mapping[str, str]] = {
    "aiohttp": "aiohttp",
    "aiosqlite": "aiosqlite",
    "alembic": "alembic",
    "argon2-cffi": "argon2",
    "asyncpg": "asyncpg",
    "av": "av",
    "bentoml": "bentoml",
    "boto3": "boto3",
    "cachetools": "cachetools",
    "emoji": "emoji",
    "espeakng-loader": "espeakng_loader",
    "fastapi": "fastapi",
    "filelock": "filelock",
    "huggingface_hub": "huggingface_hub",
    "markdown-it-py": "markdown_it",
    "numba": "numba",
    "nvidia-ml-py": "pynvml",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "pip": "pip",
    "prometheus-client": "prometheus_client",
    "psutil": "psutil",
    "pyjwt": "jwt",
    "python-multipart": "python_multipart",
    "redis": "redis",
    "regex": "regex",
    "safetensors": "safetensors",
    "soxr": "soxr",
    "sqlalchemy": "sqlalchemy",
    "threadpoolctl": "threadpoolctl",
    "zxcvbn": "zxcvbn",
}
"""Modules by distribution; a test compares them with ``pyproject.toml``."""

FASTER_MODULES: Final[Mapping[str, str | None]] = {
    "httptools": "httptools",
    "onednn-cpu-gomp": None,
    "uvloop": "uvloop",
}
"""Optional distributions that make the server faster, and their modules, if any; not on all platforms."""

INSTALL_SERVER: Final = 'Install it with: pip install "awaaztwin[server]"'


def missing(modules: Mapping[str, str | None] = SERVER_MODULES) -> list[str]:
    """Return the distributions that are not installed.

    Args:
        modules: Modules by distribution; ``None`` for a distribution without a module.
    """
    return [name for name, module in modules.items() if not _installed(name, module)]


def _installed(name: str, module: str | None) -> bool:
    if module is not None:
        return find_spec(module) is not None
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
