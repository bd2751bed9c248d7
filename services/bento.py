"""The module that ``bentoml serve services.bento:Gateway`` and ``bentoml build`` import.

To serve a runner on another host, use its own name: ``bentoml serve services.bento:engine_espeak``.
"""

import os

from services.config import ConfigError, load_settings
from services.factory import make_services
from services.host.folder import RuntimeFolderError
from services.http.server import serve_with
from services.log import configure_logging
from services.models.errors import ModelError
from services.stopping import Stopping

# Local first: BentoML's usage statistics are off unless enabled explicitly.
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
# uvicorn would trust the forwarded headers of any local process; services.http.proxies handles them instead.
os.environ["FORWARDED_ALLOW_IPS"] = ""

try:
    _loaded = load_settings()
    configure_logging(_loaded.settings)
    _stopping = Stopping()
    Gateway, _runners = make_services(_loaded, _stopping)
except ConfigError as error:
    raise SystemExit("\n".join(("The settings cannot be used:", *map(str, error.problems)))) from None
except (RuntimeFolderError, ModelError) as error:
    raise SystemExit(f"Error: {error}") from None
serve_with(_loaded.settings, _stopping)
# BentoML looks a service up by its name in the module that created it.
globals().update(_runners)
