"""Requests made up from the OpenAPI document for as long as there is time: every answer is as it says.

`AWAAZTWIN_TEST_FUZZ_SECONDS` is the time, 20 unless it is given. The requests are the same each time.
"""

import itertools
import json
import os
import random
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tenants import Tenants, start_tenants
from tenants import settings as server_settings
from voices import TONE, attest, create

SECONDS = float(os.environ.get("AWAAZTWIN_TEST_FUZZ_SECONDS", "20"))

EXAMPLES = 3
"""Requests of a kind for a route, before it is the next one's turn."""

FRESH = 8
"""Kinds of requests after which what there is is looked at anew."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

DOCUMENT = Path(__file__).parents[3] / "docs" / "openapi.json"
SCHEMA = schemathesis.openapi.from_dict(json.loads(DOCUMENT.read_text(encoding="utf-8")))
OPERATIONS: list[APIOperation] = [
    result.ok() for result in SCHEMA.get_all_operations() if isinstance(result, Ok)
]

MADE_UP = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)

SPEECH: Mapping[str, Any] = {"model": "TONE", "voice": "tone", "response_format": "pcm"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Tenants, None, None]:
    given = server_settings(consent={"required": False})
    given["engines"] = [TONE]
    tenants = start_tenants(tmp_path_factory.mktemp("fuzz"), given)
    yield tenants
    tenants.server.stop()


class Known:
    """Ids that there are, made anew when they are used up, so that not every answer is a 404.

    Whoever asks stays: their keys and organisations are left out.
    """

    def __init__(self, running: Tenants, dice: random.Random) -> None:
        self._running = running
        self._dice = dice
        self._asked = 0
        self._ids: dict[str, list[str]] = {}
        self._kept = {running.a.key_id, running.operator.key_id}

    def ids(self) -> dict[str, list[str]]:
        """Values by the name of a path's parameter."""
        self._asked += 1
        if self._asked % FRESH == 1:
            self._ids = self._look()
        return self._ids

    def _look(self) -> dict[str, list[str]]:
        with self._running.client(self._running.operator) as client:
            client.post("/admin/orgs", json={"name": f"Throwaway {self._dice.random()}"})
            orgs = [org["id"] for org in client.get("/admin/orgs").json()["data"]]
        kept = {self._running.a.id, self._running.b.id, self._running.operator.id}
        with self._running.client(self._running.a) as client:
            client.post("/admin/keys", json={"name": "throwaway"})
            keys = [key["id"] for key in client.get("/admin/keys").json()["data"]]
            said = client.post("/v1/audio/speech", json={**SPEECH, "input": "Hello.", "store": True})
            assert said.status_code == 200
            voices = client.get("/voices").json()["data"]
            if len(voices) < 2:
                attest(client, create(client, f"Throwaway {self._dice.random()}")["id"])
                voices = client.get("/voices").json()["data"]
            samples = client.get(f"/voices/{voices[0]['id']}/samples").json()["data"]
            return {
                "org_id": [org for org in orgs if org not in kept],
                "key_id": [key for key in keys if key not in self._kept],
                "user_id": list(self._running.a.users.values()),
                "voice_id": [voices[0]["id"]],
                "sample_id": [sample["id"] for sample in samples],
                "audio_id": [audio["id"] for audio in client.get("/audio").json()["data"]],
                "consent_id": [one["id"] for one in client.get("/consents").json()["data"]],
                "model": ["TONE"],
            }


def deepen(case: Case, known: Mapping[str, list[str]], dice: random.Random) -> None:
    """Name what there is, mostly: made-up names alone never get beyond the first check."""
    for name, values in known.items():
        if name in (case.path_parameters or {}) and values and dice.random() < 0.8:
            case.path_parameters[name] = dice.choice(values)
    body = case.body
    if case.operation.label == "POST /v1/audio/speech" and isinstance(body, dict) and dice.random() < 0.8:
        body.update(SPEECH)


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 300)
def test_every_answer_is_as_the_document_says(running: Tenants):
    dice = random.Random(0)
    known = Known(running, dice)
    with running.client(running.a) as client:
        everyday = {"authorization": f"Bearer {client.post('/admin/keys', json={'name': 'x'}).json()['key']}"}
    callers = [running.operator.headers(), running.a.headers(), everyday, {}]
    end = time.monotonic() + SECONDS
    asked = 0

    def ask_all(operation: APIOperation, mode: GenerationMode, number: int) -> None:
        ids = known.ids()

        @seed(number)
        @MADE_UP
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Case) -> None:
            nonlocal asked
            for name in ("authorization", "xi-api-key"):
                case.headers.pop(name, None)
            deepen(case, ids, dice)
            answer = case.call(base_url=running.server.url, headers=dice.choice(callers), timeout=60)
            case.validate_response(answer, checks=CHECKS)
            asked += 1

        try:
            ask()
        except Unsatisfiable:
            return  # it takes nothing that could be wrong

    for number in itertools.count():
        for operation, mode in itertools.product(OPERATIONS, GenerationMode):
            if time.monotonic() > end:
                assert asked > 0
                return
            ask_all(operation, mode, number)
