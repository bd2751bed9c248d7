"""`awaaztwin init`, `org`, `user`, `key` and `db`, on a database of their own."""

import json
import os
import sqlite3
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli.app import app

PASSWORD = "a long enough password"  # noqa: S105 - made up


@pytest.fixture
def settings(elsewhere: Path) -> Path:
    """Settings with a database in the test's own folder."""
    file = elsewhere / "configuration.yaml"
    file.write_text(f"storage:\n  db_url: sqlite:///{elsewhere}/own.db\n", encoding="utf-8")
    return file


def ok(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(result: Result) -> str:
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    return result.stderr


def init(cli: CliRunner, *more: str, password: str = PASSWORD) -> Result:
    command = ["init", "--org", "Asha Audio", "--email", "asha@example.com", "--password-stdin", *more]
    return cli.invoke(app, command, input=f"{password}\n")


def test_init_makes_settings_a_database_and_one_key(cli: CliRunner, elsewhere: Path):
    key = ok(init(cli)).strip()
    assert key.startswith("atk_")
    written = (elsewhere / "configuration.yaml").read_text(encoding="utf-8")
    assert "mode: required" in written
    dotenv = elsewhere / ".env"
    assert len(dotenv.read_text().partition("=")[2].strip()) >= 32
    if os.name == "posix":
        assert stat.S_IMODE(dotenv.stat().st_mode) == 0o600
    assert "The settings are valid" in ok(cli.invoke(app, ["config", "check"]))
    database = (elsewhere / "data" / "awaaztwin.db").read_bytes()
    assert key[21:].encode() not in database
    assert PASSWORD.encode() not in database
    orgs = json.loads(ok(cli.invoke(app, ["org", "list", "--json"])))
    assert [org["name"] for org in orgs] == ["Asha Audio"]
    users = json.loads(ok(cli.invoke(app, ["user", "list", "--org", "asha audio", "--json"])))
    assert [(user["email"], user["role"]) for user in users] == [("asha@example.com", "owner")]


def test_init_again_changes_nothing(cli: CliRunner, elsewhere: Path):
    ok(init(cli))
    before = {path.name: path.read_bytes() for path in (elsewhere / "configuration.yaml", elsewhere / ".env")}
    assert "Asha Audio" in refused(init(cli))
    assert {name: (elsewhere / name).read_bytes() for name in before} == before


def test_init_that_fails_leaves_no_settings(cli: CliRunner, elsewhere: Path):
    assert "at least 10 characters" in refused(init(cli, password="short"))
    said = refused(init(cli, password="jaishreeram108")).replace("\n", " ")
    assert "too easy to guess" in said
    assert not (elsewhere / "configuration.yaml").exists()
    assert not (elsewhere / ".env").exists()


def test_init_in_another_folder(cli: CliRunner, elsewhere: Path):
    ok(init(cli, "--folder", "server"))
    folder = elsewhere / "server"
    assert (folder / "configuration.yaml").is_file()
    assert (folder / "data" / "awaaztwin.db").is_file()
    listed = ok(cli.invoke(app, ["org", "list", "-c", "server/configuration.yaml"]))
    assert "Asha Audio" in listed


@pytest.mark.usefixtures("settings")
def test_an_organisation_from_beginning_to_end(cli: CliRunner):
    ok(cli.invoke(app, ["org", "create", "Books", "--limit", "voices=3", "--limit", "stored_bytes=none"]))
    (org, *_) = [
        org for org in json.loads(ok(cli.invoke(app, ["org", "list", "--json"]))) if org["name"] == "Books"
    ]
    assert org["limits"] == {"voices": 3, "stored_bytes": None}
    ok(cli.invoke(app, ["org", "change", "books", "--name", "Bharat Books", "--limit", "voices=5", "--lock"]))
    listed = ok(cli.invoke(app, ["org", "list"]))
    assert "Bharat Books" in listed
    assert "voices=5" in listed
    assert "locked" in listed
    assert "no organisation" in refused(cli.invoke(app, ["org", "change", "books", "--unlock"]))
    ok(cli.invoke(app, ["org", "delete", "bharat books", "--yes"]))
    assert "Bharat Books" not in ok(cli.invoke(app, ["org", "list"]))


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["org", "create", "X", "--limit", "voice=3"], "Unknown limit 'voice'"),
        (["org", "create", "X", "--limit", "voices"], "NAME=NUMBER"),
        (["org", "create", "X", "--plan", "gold"], "no plan 'gold'"),
        (["org", "create", "local"], "already"),
        (["org", "delete", "local", "--yes"], "local organisation cannot be deleted"),
        (["user", "list", "--org", "none"], "no organisation 'none'"),
        (["user", "remove", "nobody@example.com", "--org", "local"], "no user"),
        (["key", "create", "k", "--org", "local", "--scope", "fly"], "scope: fly"),
        (["key", "revoke", "key_x", "--org", "local"], "no key"),
        (["db", "downgrade", "9999", "--yes"], "9999"),
    ],
)
def test_what_cannot_be_done_says_why(cli: CliRunner, arguments: list[str], said: str):
    ok(cli.invoke(app, ["org", "list"]))
    assert said in refused(cli.invoke(app, arguments))


@pytest.mark.usefixtures("settings")
def test_users_and_keys(cli: CliRunner):
    add = ["user", "add", "Ravi@example.com", "--org", "local", "--role", "owner", "--password-stdin"]
    assert "ravi@example.com is owner" in ok(cli.invoke(app, add, input=f"{PASSWORD}\n"))
    ok(
        cli.invoke(
            app, ["user", "add", "bot@example.com", "--org", "local", "--role", "service", "--no-password"]
        )
    )
    assert "is admin" in ok(cli.invoke(app, ["user", "role", "bot@example.com", "admin", "--org", "local"]))
    change = ["user", "role", "ravi@example.com", "member", "--org", "local"]
    assert "needs an owner" in refused(cli.invoke(app, change))
    taken = refused(cli.invoke(app, add, input=f"{PASSWORD}\n"))
    assert "ravi@example.com" in taken
    assert "invite" in taken
    ok(cli.invoke(app, ["user", "remove", "bot@example.com", "--org", "local"]))
    assert "bot@" not in ok(cli.invoke(app, ["user", "list", "--org", "local"]))
    key = ok(
        cli.invoke(app, ["key", "create", "app", "--org", "local", "--scope", "speech", "--days", "3"])
    ).strip()
    (listed,) = json.loads(ok(cli.invoke(app, ["key", "list", "--org", "local", "--json"])))
    assert (listed["name"], listed["scopes"], listed["state"]) == ("app", ["speech"], "good")
    table = ok(cli.invoke(app, ["key", "list", "--org", "local"]))
    assert key[:20] in table
    assert key[21:] not in table
    ok(cli.invoke(app, ["key", "revoke", listed["id"], "--org", "local"]))
    assert "revoked" in ok(cli.invoke(app, ["key", "list", "--org", "local"]))


@pytest.mark.usefixtures("settings")
def test_invitations_resets_and_locked_out_users(cli: CliRunner):
    invited = cli.invoke(app, ["user", "invite", "NEW@example.com", "--org", "local", "--role", "admin"])
    token = ok(invited).strip()
    assert token.startswith("ati_")
    assert "new@example.com" in invited.stderr
    assert "/auth/invitations/accept" in invited.stderr
    # Nobody has the address until they accept.
    assert "new@" not in ok(cli.invoke(app, ["user", "list", "--org", "local"]))
    assert "no user" in refused(cli.invoke(app, ["user", "reset", "new@example.com"]))

    add = ["user", "add", "ravi@example.com", "--org", "local", "--role", "owner", "--no-password"]
    ok(cli.invoke(app, add))
    reset = cli.invoke(app, ["user", "reset", "ravi@example.com"])
    assert ok(reset).startswith("atp_")
    assert "/auth/password/reset" in reset.stderr
    assert "needs an owner" in refused(cli.invoke(app, ["user", "disable", "ravi@example.com"]))
    add[2] = "asha@example.com"
    ok(cli.invoke(app, add))
    ok(cli.invoke(app, ["user", "disable", "ravi@example.com"]))
    users = json.loads(ok(cli.invoke(app, ["user", "list", "--org", "local", "--json"])))
    assert {user["email"]: user["disabled"] for user in users} == {
        "asha@example.com": False,
        "ravi@example.com": True,
    }
    assert "disabled" in ok(cli.invoke(app, ["user", "list", "--org", "local"]))
    ok(cli.invoke(app, ["user", "enable", "ravi@example.com"]))


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    "arguments",
    [
        ["org", "create", "x" * 201],
        ["org", "create", " "],
        ["org", "create", "a\nb"],
        ["org", "change", "local", "--name", "x" * 201],
        ["key", "create", "x" * 201, "--org", "local"],
        ["user", "add", "no address", "--org", "local", "--no-password"],
        ["user", "add", "\u0130" * 318 + "@x", "--org", "local", "--no-password"],
        ["user", "add", "a@example.com", "--name", "x" * 201, "--org", "local", "--no-password"],
        ["user", "invite", "\ufdfa" * 100 + "@x", "--org", "local"],
        ["user", "invite", "a\u200b@example.com", "--org", "local"],
    ],
)
def test_texts_that_no_database_would_keep_are_refused(cli: CliRunner, arguments: list[str]):
    assert "Invalid value for" in refused(cli.invoke(app, arguments))


@pytest.mark.usefixtures("settings")
def test_the_database_goes_up_and_down_and_is_copied(cli: CliRunner, elsewhere: Path):
    assert "at revision 0003; before: none" in ok(cli.invoke(app, ["db", "upgrade"]))
    assert "already" in ok(cli.invoke(app, ["db", "upgrade"]))
    ok(cli.invoke(app, ["org", "create", "Kept"]))
    assert "Wrote copy.db" in ok(cli.invoke(app, ["db", "backup", "copy.db"]))
    assert "already exists" in refused(cli.invoke(app, ["db", "backup", "copy.db"]))
    assert "before: 0003" in ok(cli.invoke(app, ["db", "downgrade", "base", "--yes"]))
    with sqlite3.connect(elsewhere / "copy.db") as copy:
        assert ("Kept",) in copy.execute("SELECT name FROM orgs").fetchall()
    copy.close()
    if os.name == "posix":
        assert stat.S_IMODE((elsewhere / "copy.db").stat().st_mode) == 0o600


def test_a_database_that_is_away_is_told(cli: CliRunner, elsewhere: Path):
    (elsewhere / "configuration.yaml").write_text(
        "storage:\n  db_url: postgresql://u:very-secret@127.0.0.1:1/none\n", encoding="utf-8"
    )
    said = refused(cli.invoke(app, ["org", "list"]))
    assert "database cannot be reached" in said
    assert "very-secret" not in said
