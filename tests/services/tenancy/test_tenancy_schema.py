"""Requests made up from the OpenAPI document: none is answered with a 500, or as it does not say."""

import json
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import status_code_conformance

from tenants import Tenants

EXAMPLES = 12
"""Requests of each kind for each route."""

DOCUMENT = Path(__file__).parents[3] / "docs" / "openapi.json"

# `make docs` checks that the file is what the server answers.
SCHEMA = schemathesis.openapi.from_dict(json.loads(DOCUMENT.read_text(encoding="utf-8")))
OPERATIONS = [result.ok() for result in SCHEMA.get_all_operations() if isinstance(result, Ok)]

MADE_UP = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("key", [True, False], ids=["key", "no key"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_made_up_requests(operation: APIOperation, key: bool, mode: GenerationMode, tenants: Tenants):
    credentials = tenants.operator.headers() if key else {}

    @MADE_UP
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Case) -> None:
        # What is made up may hold a key too, and would win over the one that is meant.
        for name in ("authorization", "xi-api-key"):
            case.headers.pop(name, None)
        answer = case.call(base_url=tenants.server.url, headers=credentials, timeout=60)
        case.validate_response(answer, checks=[not_a_server_error, status_code_conformance])

    try:
        ask()
    except Unsatisfiable:
        pytest.skip("it takes nothing that could be wrong")
