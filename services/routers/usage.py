"""``GET /usage``: usage by day, engine, voice, user or key; as JSON or CSV."""

import csv
import io
from collections.abc import AsyncGenerator
from datetime import date, timedelta
from typing import Annotated, Any, Final, Literal, TypeAlias

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from services.errors import invalid
from services.quota.allowed import Allowed
from services.routers.fields import ID
from services.state import GatewayState, State
from services.tenancy.caller import Caller
from services.tenancy.scopes import Scope, access
from storage.columns import now
from storage.repositories.ledger import Ledger
from storage.repositories.usage import PAGE, GroupBy, UsageRepository

router = APIRouter(tags=["usage"])

ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}}},
}

DAYS: Final = 30
"""Default number of days of a report."""

MOST_DAYS: Final = 366

FIELDS: Final = (
    "at",
    "org_id",
    "kind",
    "outcome",
    "request_id",
    "engine",
    "voice",
    "characters",
    "audio_ms",
    "latency_ms",
    "user_id",
    "external_user",
    "key_id",
)
"""Columns of the CSV file."""

First: TypeAlias = Annotated[
    date | None,
    Query(alias="from", description=f"The first day, UTC; by default {DAYS - 1} days before the last."),
]
Last: TypeAlias = Annotated[
    date | None, Query(alias="to", description="The last day, UTC; by default today.")
]
By: TypeAlias = Annotated[
    Literal["day", "engine", "voice", "user", "key"], Query(description="How usage is grouped.")
]
Format: TypeAlias = Annotated[
    Literal["json", "csv"], Query(description="`json`: totals; `csv`: every record of the period.")
]


@router.get("/usage", operation_id="getUsage", summary="Get Usage", responses=ANSWERS, response_model=None)
@access(Scope.USAGE)
async def usage(
    state: State,
    caller: Caller,
    allowed: Allowed,
    first: First = None,
    last: Last = None,
    by: By = "day",
    format: Format = "json",  # noqa: A002 - the parameter's public name
) -> Response | dict[str, Any]:
    """The usage of the caller's organisation."""
    start, end = _span(first, last)
    await state.meter.flush()
    if format == "csv":
        return _csv(state, caller.org_id, start, end)
    told = await _sums(state, caller.org_id, by, start, end)
    async with state.gate.read() as session:
        ledger = Ledger(session, caller.org_id)
        today = now().date()
        used = {
            "characters_per_day": await ledger.used(f"characters/{today}"),
            "characters_per_month": await ledger.used(f"characters/{today:%Y-%m}"),
            "audio_ms_per_month": await ledger.used(f"audio_ms/{today:%Y-%m}"),
        }
    # An account is opened by the first request that its limit applies to.
    quota = {
        "limits": allowed.limits.model_dump(),
        "used": {name: value or 0 for name, value in used.items()},
    }
    return {**told, "quota": quota}


@router.get(
    "/admin/usage",
    operation_id="getAllUsage",
    summary="Get Usage of All Organisations",
    responses=ANSWERS,
    response_model=None,
)
@access(Scope.OPERATOR)
async def all_usage(
    state: State,
    first: First = None,
    last: Last = None,
    by: Annotated[GroupBy, Query(description="How usage is grouped.")] = "org",
    org_id: Annotated[
        str | None, Query(max_length=40, pattern=ID, description="Only this organisation.")
    ] = None,
    format: Format = "json",  # noqa: A002 - as above
) -> Response | dict[str, Any]:
    """The usage of all organisations."""
    start, end = _span(first, last)
    await state.meter.flush()
    if format == "csv":
        return _csv(state, org_id, start, end)
    return await _sums(state, org_id, by, start, end)


def _span(first: date | None, last: date | None) -> tuple[date, date]:
    end = last or now().date()
    start = first or end - timedelta(days=min(DAYS - 1, end.toordinal() - 1))
    if start > end:
        raise invalid("The first day is after the last.", "from")
    if (end - start).days >= MOST_DAYS:
        raise invalid(f"At most {MOST_DAYS} days can be reported at once.", "from")
    return start, end


async def _sums(
    state: GatewayState, org_id: str | None, by: GroupBy, first: date, last: date
) -> dict[str, Any]:
    async with state.gate.read() as session:
        sums = await UsageRepository(session, org_id).sums(by, first=first, last=last)
    return {
        "object": "usage",
        "from": first.isoformat(),
        "to": last.isoformat(),
        "by": by,
        "data": [
            {
                by: row.group,
                "requests": row.requests,
                "characters": row.characters,
                "audio_seconds": row.audio_ms / 1000,
            }
            for row in sums
        ],
        "total": {
            "requests": sum(row.requests for row in sums),
            "characters": sum(row.characters for row in sums),
            "audio_seconds": sum(row.audio_ms for row in sums) / 1000,
        },
    }


def _csv(state: GatewayState, org_id: str | None, first: date, last: date) -> Response:
    name = f"usage-{first}-{last}.csv"
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return StreamingResponse(_lines(state, org_id, first, last), media_type="text/csv", headers=headers)


async def _lines(
    state: GatewayState, org_id: str | None, first: date, last: date
) -> AsyncGenerator[str, None]:
    yield _line(FIELDS)
    after: int | None = 0
    while after is not None:
        # One transaction per page, so that a slow client blocks nothing.
        async with state.gate.read() as session:
            page = await UsageRepository(session, org_id).page(first=first, last=last, after=after)
        yield "".join(_line([_cell(getattr(record, field)) for field in FIELDS]) for record in page)
        after = page[-1].id if len(page) == PAGE else None


def _line(cells: tuple[str, ...] | list[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    # Otherwise a spreadsheet would execute it as a formula.
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
