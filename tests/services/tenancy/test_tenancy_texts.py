"""Texts that grow when they are made alike, or that PostgreSQL does not take, in every field there is.

SQLite keeps texts of any length and content, so that a column's length is felt on PostgreSQL alone.
"""

import asyncio
import copy
import json
import re
import sys
from collections.abc import Generator, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tenancy.texts import LONGEST_EMAIL, email_address
from storage.columns import address_key, name_key

from databases import database_address
from tenants import Tenants, settings, start_tenants
from voices import create

DOCUMENT = json.loads((Path(__file__).parents[3] / "docs" / "openapi.json").read_text(encoding="utf-8"))

NASTY = ["\u0390", "\u0130", "\ufdfa", "\x00", "a\x00b", "\ud800", "\x1b[31m\n"]
"""The first three grow: without case to three times, without case in bytes, and in compatible form."""

WANTED: dict[str, Any] = {
    "email": "somebody@example.com",
    "expires_in": 60,
    "grant_type": "refresh_token",
    "language": "en",
    "model": "TONE",
    "voice": "tone",
}
"""Values of required fields that others are not good for."""

Spot = tuple[str | int, ...]


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while (reference := schema.get("$ref")) is not None:
        schema = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            schema = schema[part]
    return schema


def texts(schema: dict[str, Any], spot: Spot = ()) -> Iterator[tuple[Spot, int]]:
    """Where a body holds texts, and how long they may be."""
    schema = resolved(schema)
    for choice in schema.get("anyOf", []):
        yield from texts(choice, spot)
    if schema.get("type") == "string" and not {"enum", "const"} & set(schema):
        yield spot, schema.get("maxLength", 300)
    for name, inner in schema.get("properties", {}).items():
        yield from texts(inner, (*spot, name))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from texts(schema["additionalProperties"], (*spot, "key"))
    if "items" in schema:
        yield from texts(schema["items"], (*spot, 0))


def with_text(body: dict[str, Any], spot: Spot, text: str) -> dict[str, Any]:
    """The body with a text at a spot; what leads there is made."""
    root: dict[str | int, Any] = copy.deepcopy(body)  # pyright: ignore[reportAssignmentType] - its keys are texts
    inner: Any = root
    for part, following in pairwise(spot):
        wanted: Any = [None] if isinstance(following, int) else {}
        if isinstance(part, int) or not isinstance(inner.get(part), dict | list):
            inner[part] = wanted
        inner = inner[part]
    inner[spot[-1]] = text
    return root  # pyright: ignore[reportReturnType] - as above


def required(schema: dict[str, Any]) -> dict[str, Any]:
    """A body with what a route asks for."""
    schema = resolved(schema)
    return {name: WANTED.get(name, "tiger lamp kettle") for name in schema.get("required", [])}


OPERATIONS = [
    (path, method, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Tenants, dict[str, str]], None, None]:
    """A server with PostgreSQL, and ids of what there is."""
    folder = tmp_path_factory.mktemp("texts")
    with asyncio.Runner() as runner:
        database = database_address("postgresql", folder)
        address = runner.run(database.__aenter__())
        given = settings(storage={"db_url": address}, auth={"max_login_failures": 1_000})
        tenants = start_tenants(folder, given)
        with tenants.client(tenants.operator) as client:
            voice = create(client, "Voice")["id"]
        users = tenants.operator.users
        yield tenants, {"voice_id": voice, "user_id": users["member"], "model": "TONE", "alias": "nova"}
        tenants.server.stop()
        runner.run(database.__aexit__(None, None, None))


def odd_requests(
    url: str, ids: dict[str, str], path: str, operation: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Each with one odd text: in the path, the query or the body."""
    for match in re.finditer(r"\{(\w+)\}", path):
        for odd in ("a%00b", "%EF%B7%BA" * 40, "%CE%90" * 40):
            yield {"url": url.replace(ids.get(match[1], "some_id"), odd, 1)}
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "query":
            for _, longest in texts(parameter["schema"]):
                for odd in NASTY:
                    if odd != "\ud800":  # not in a URL
                        yield {"url": url, "params": {parameter["name"]: odd * min(longest, 200)}}
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    for spot, longest in texts(schema or {}):
        for odd in [*NASTY, "x"]:
            text = odd if len(odd) > 1 else odd * min(longest, 5_000)
            body = json.dumps(with_text(required(schema), spot, text))
            yield {"url": url, "content": body, "headers": {"content-type": "application/json"}}


@pytest.mark.parametrize(
    ("path", "method", "operation"), OPERATIONS, ids=[entry[2]["operationId"] for entry in OPERATIONS]
)
def test_no_text_is_more_than_the_database_takes(
    strict: tuple[Tenants, dict[str, str]], path: str, method: str, operation: dict[str, Any]
):
    tenants, ids = strict
    url = re.sub(r"\{(\w+)\}", lambda match: ids.get(match[1], "some_id"), path)
    with tenants.client(tenants.operator) as client:
        for request in odd_requests(url, ids, path, operation):
            answer = client.request(method, **request)
            assert answer.status_code < 500, f"{method} {request}: {answer.text}"


def test_a_name_made_alike_fits_its_column():
    longest = max(len(chr(point).casefold()) for point in range(sys.maxunicode + 1))
    assert longest == 3
    assert len(name_key("\u0390" * 200)) == 600


@given(
    st.text(max_size=40)
    | st.text(st.sampled_from("\u0390\u0130\ufdfa\u00df\u0345\u0301\u03a3aA@. "), max_size=20)
)
def test_an_address_made_alike_stays_as_it_is(text: str):
    assert address_key(address_key(text)) == address_key(text)
    try:
        address = email_address(text)
    except ValueError:
        return
    assert len(address) <= LONGEST_EMAIL
    assert email_address(address) == address
    assert email_address(text.upper()) == email_address(text.upper().lower())


def test_every_letter_made_alike_stays_as_it_is():
    for point in range(sys.maxunicode + 1):
        key = address_key(f"a{chr(point)}\u0301")
        assert address_key(key) == key, hex(point)
