"""What ``bentoml serve services.bento:Gateway`` and ``bentoml build`` import.

A runner for another host is served by its own name: ``bentoml serve services.bento:engine_espeak``.
"""

import os

from services.config import ConfigError, load_settings
from services.factory import make_services
from services.host.folder import RuntimeFolderError
from services.http.server import serve_with
from services.log import configure_logging
from services.models.errors import ModelError
from services.stopping import Stopping

# Local first: BentoML's usage statistics stay off unless somebody asks for them.
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
# uvicorn would believe whatever anybody on this machine says of a client; services.http.proxies decides.
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
# BentoML finds a service by its name in the module that made it.
globals().update(_runners)
