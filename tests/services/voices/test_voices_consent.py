"""A consent that is withdrawn takes its voices back everywhere; what stays is the evidence."""

import threading
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from live import eventually
from tenants import Tenants
from voices import (
    attest,
    create,
    objects,
    recording,
    refused,
    rows,
    samples,
    say,
    settled,
)


def consent_of(client: httpx.Client, who: str = "nova") -> str:
    answer = client.post(
        "/v1/audio/voice_consents",
        data={"name": f"Of {who}", "language": "en"},
        files=samples(recording(who, 1), field="recording"),
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


@pytest.fixture
def alone(tenants: Tenants) -> Generator[httpx.Client, None, None]:
    """Asks as an organisation that has nothing else."""
    with tenants.client(tenants.operator) as client:
        yield client


def test_what_is_left_of_a_revoked_voice(tenants: Tenants, alone: httpx.Client):
    own = tenants.operator
    consent = consent_of(alone)
    voice = create(alone, "Withdrawn", recording("nova"), recording("nova", 1), consent=consent)["id"]
    assert settled(alone, voice)["state"] == "ready"
    alone.put(f"/voices/{voice}/aliases/nova")
    assert say(alone, "nova").status_code == 200
    kept = objects(tenants.folder)
    assert sum(voice in key for key in kept) == 5

    revoked = alone.delete(f"/consents/{consent}")
    assert revoked.status_code == 200
    assert revoked.json()["revoked_at"] is not None
    for wanted in (voice, "Withdrawn", "nova"):
        message = refused(say(alone, wanted), 400, "voice_not_ready", "voice")
        assert "withdrawn" in message
    shown = alone.get(f"/voices/{voice}").json()
    assert (shown["state"], shown["samples"], shown["engines"], shown["quality"]) == ("revoked", 0, [], None)
    evidence = f"org/{own.id}/consents/{consent}/recording"
    eventually(lambda: [key for key in objects(tenants.folder) if own.id in key] == [evidence])
    eventually(lambda: "doomed_objects" not in rows(tenants.folder, own.id))
    assert rows(tenants.folder, own.id) == {"voices": 1, "voice_aliases": 1, "voice_consents": 1}

    # Nothing brings it back.
    again = consent_of(alone)
    for answer in (
        alone.post(f"/voices/{voice}/samples", files=samples(recording())),
        alone.post(f"/voices/{voice}/prepare"),
        alone.patch(f"/voices/{voice}", json={"consent": again}),
        alone.get(f"/voices/{voice}/export"),
    ):
        refused(answer, 409, "voice_revoked")
        assert answer.headers["x-should-retry"] == "false"
    attest(alone, voice)
    assert alone.get(f"/voices/{voice}").json()["state"] == "revoked"
    refused(alone.post("/voices", json={"name": "x", "consent": consent}), 404, "consent_not_found")
    refused(alone.delete(f"/consents/{consent}"), 404, "consent_not_found")

    # The evidence stays.
    found = alone.get(f"/consents/{consent}").json()
    assert found["revoked_at"] == revoked.json()["revoked_at"]
    assert found["statement"]["actor"] == own.key_id
    assert alone.get(f"/consents/{consent}/recording").content == recording("nova", 1)
    assert consent not in {one["id"] for one in alone.get("/consents").json()["data"]}
    listed = alone.get("/consents", params={"revoked": True}).json()["data"]
    assert consent in {one["id"] for one in listed}
    told = alone.get("/admin/audit").json()["data"]
    actions = {event["action"]: event for event in told if event["target"] in {voice, consent}}
    assert {"consent.given", "consent.revoked", "voice.created", "voice.revoked", "voice.aliased"} <= set(
        actions
    )
    assert actions["voice.revoked"]["details"] == {"consent": consent}

    # Gone for good, with its name.
    assert alone.delete(f"/voices/{voice}").status_code == 204
    assert set(rows(tenants.folder, own.id)) <= {"voice_consents", "doomed_objects"}
    assert alone.get(f"/consents/{consent}").status_code == 200


def test_a_consent_that_is_withdrawn_while_it_is_given(client: httpx.Client, tenants: Tenants):
    """Whichever comes first: no voice goes on with a consent that does not hold."""
    for turn in range(4):
        consent = consent_of(client)
        answers: list[httpx.Response] = []

        def make(name: str, consent: str = consent, answers: list[httpx.Response] = answers) -> None:
            with tenants.client(tenants.a) as own:
                form = {"name": name, "consent": consent}
                answers.append(own.post("/voices", data=form, files=samples(recording())))

        threads = [threading.Thread(target=make, args=[f"Race {turn} {n}"]) for n in range(3)]
        for thread in threads:
            thread.start()
        assert client.delete(f"/consents/{consent}").status_code == 200
        for thread in threads:
            thread.join(60)
        assert {answer.status_code for answer in answers} <= {201, 404}
        for answer in answers:
            if answer.status_code == 201:
                shown = client.get(f"/voices/{answer.json()['id']}").json()
                assert shown["state"] == "revoked"
                assert client.delete(f"/voices/{shown['id']}").status_code == 204


def test_the_word_of_a_speaker_is_kept_with_who_gave_it(client: httpx.Client, tenants: Tenants):
    voice = create(client, "Attested")["id"]
    consent = attest(client, voice)
    assert consent["kind"] == "attestation"
    assert consent["statement"] == {
        **consent["statement"],
        "name": "Asha Rao",
        "text": "I agree to be spoken like.",
        "address": "127.0.0.1",
        "actor": tenants.a.key_id,
    }
    assert client.get(f"/consents/{consent['id']}").json() == consent
    refused(client.get(f"/consents/{consent['id']}/recording"), 404, "recording_not_kept")
    for body in ({"name": "x"}, {"name": "x", "text": " "}, {"name": "x", "text": "a\x00"}, {}):
        assert client.post(f"/voices/{voice}/consent", json=body).status_code == 400
    client.delete(f"/voices/{voice}")
    assert client.get(f"/consents/{consent['id']}").status_code == 200


def test_an_organisation_that_goes_takes_its_voices_along(tenants: Tenants):
    with tenants.client(tenants.operator) as operator:
        org = operator.post("/admin/orgs", json={"name": "Gone Soon"}).json()["id"]
        made = operator.post(
            "/admin/keys", params={"org_id": org}, json={"name": "k", "scopes": SCOPES}
        ).json()
        headers = {"authorization": f"Bearer {made['key']}"}
        with httpx.Client(base_url=tenants.server.url, headers=headers, timeout=60) as client:
            consent = consent_of(client)
            voice = create(client, "Theirs", consent=consent)["id"]
            settled(client, voice)
            client.put(f"/voices/{voice}/aliases/alloy")
            assert say(client, "alloy", store=True).status_code == 200
            # This one is being prepared meanwhile.
            create(client, "Late", recording("echo"), consent=consent)
            kinds = {key.split("/")[2] for key in objects(tenants.folder) if org in key}
            assert kinds == {"consents", "voices", "outputs"}
            assert operator.delete(f"/admin/orgs/{org}").status_code == 204
            assert say(client, voice).status_code == 401
        eventually(lambda: rows(tenants.folder, org) == {})
        assert [key for key in objects(tenants.folder) if org in key] == []
        told = operator.get("/admin/audit", params={"org_id": org}).json()["data"]
        assert told[0]["action"] == "org.deleted"
    folders = [path for path in (tenants.folder / "objects").rglob("*") if org in str(path)]
    assert not [path for path in folders if Path(path).is_file()]


SCOPES = ["speech", "models", "voices", "usage"]
