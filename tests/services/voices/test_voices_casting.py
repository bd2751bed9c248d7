"""A voice of one's own speaks whatever the language, in the engine that has it."""

import httpx
import pytest

from live import Server
from voices import SENTENCE, create, heard, pitch, recording, say, settled

TAMIL = "வணக்கம் உலகம், இது ஒரு நீண்ட வாக்கியம்."
PLAIN = 220.0
"""Hertz of the engine's own voice ``alloy``."""


def booked(client: httpx.Client) -> dict[str, int]:
    """Characters that were spoken, by engine."""
    rows = client.get("/usage", params={"by": "engine"}).json()["data"]
    return {row["engine"]: row["characters"] for row in rows}


def speaker(client: httpx.Client, voice: str, text: str) -> tuple[str, float]:
    """The engine that spoke, and the pitch of the voice."""
    before = booked(client)
    answer = say(client, voice, text)
    assert answer.status_code == 200, answer.text
    after = booked(client)
    (name,) = {name for name in after if after[name] != before.get(name, 0)}
    return name, pitch(answer.content)


def test_an_alias_wins_over_an_engine_that_speaks_the_language(local: Server) -> None:
    with httpx.Client(base_url=local.url, timeout=60) as client:
        voice = create(client, "Casting", recording("nova"))
        assert settled(client, voice["id"])["state"] == "ready"
        tone = heard(client, "casting", model="TONE")
        assert abs(tone - PLAIN) > 5
        # The default engine's own `alloy` does not speak Tamil: the next engine's does.
        assert speaker(client, "alloy", SENTENCE) == ("TONE", pytest.approx(PLAIN, abs=1))
        assert speaker(client, "alloy", TAMIL)[0] == "ESPEAK"
        assert client.put(f"/voices/{voice['id']}/aliases/alloy").status_code == 200
        assert speaker(client, "alloy", TAMIL) == ("TONE", pytest.approx(tone, rel=0.01))
        assert speaker(client, "casting", TAMIL) == ("TONE", pytest.approx(tone, rel=0.01))
        client.delete(f"/voices/{voice['id']}")
        assert speaker(client, "alloy", TAMIL)[0] == "ESPEAK"
