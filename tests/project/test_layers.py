"""Within ``services``, too, imports run one way: who may import whom is the table here.

A room is a folder of ``services``, or a module that is in none.
"""

import re
from pathlib import Path

import pytest
import rooms

MAY_IMPORT = {
    "addresses": "",
    "asgi": "",
    "config": "",
    "declarations": "",
    "escaping": "",
    "log_context": "",
    "names": "",
    "stopping": "",
    "audio": "names",
    "probe": "log_context",
    "tasks": "log_context",
    "counters": "tasks",
    "errors": "asgi",
    "log": "config escaping log_context",
    "models": "config",
    "sharing": "tasks",
    "wire": "log_context tasks",
    "directory": "errors names tasks wire",
    "doors": "asgi declarations errors",
    "gate": "config sharing",
    "host": "config wire",
    "metrics": "wire",
    "middleware": "asgi errors log_context stopping",
    "erasure": "gate",
    "folders": "config host",
    "runner": "asgi declarations doors log_context middleware models tasks wire",
    "samples": "audio host",
    "tokens": "config gate",
    "retention": "config erasure gate",
    "tenancy": (
        "addresses asgi config counters declarations doors errors gate log_context sharing tasks tokens"
    ),
    "http": "addresses asgi config middleware sharing stopping tenancy",
    "offline": "config errors gate retention tenancy",
    "openapi": "doors errors tenancy",
    "quota": "asgi config counters errors gate sharing tasks tenancy",
    "cli": "audio config escaping folders host models offline tenancy",
    "uploads": "errors quota sharing tenancy",
    "voices": (
        "config directory errors escaping gate metrics names samples sharing stopping tasks "
        "tenancy uploads wire"
    ),
    "speech": (
        "audio config errors escaping gate log_context metrics names quota sharing tasks tenancy voices wire"
    ),
    "state": (
        "config counters directory gate metrics probe quota sharing speech stopping tenancy tokens voices"
    ),
    "gateway": (
        "config counters directory erasure gate metrics probe quota retention samples sharing "
        "speech state stopping tasks tenancy tokens uploads voices wire"
    ),
    "routers": (
        "audio config counters directory errors log_context metrics quota sharing speech state tenancy "
        "tokens uploads voices wire"
    ),
    "app": "config doors errors gateway http middleware openapi quota routers sharing state stopping tenancy",
    "factory": "app config folders host http middleware models runner stopping",
    "bento": "config factory host http log models stopping",
}
"""The rooms that a room imports, from the bottom up. A new arrow is a decision: it is entered here first, and
one that is not needed any more goes."""


def test_rooms_import_whom_they_may() -> None:
    found = rooms.room_imports()
    assert set(found) == set(MAY_IMPORT)
    for room, imports in found.items():
        allowed = set(MAY_IMPORT[room].split())
        assert imports <= allowed, f"{room} imports {sorted(imports - allowed)}"
        assert allowed <= imports, f"{room} no longer imports {sorted(allowed - imports)}"


def test_no_room_imports_itself_by_a_detour() -> None:
    listed = list(MAY_IMPORT)
    for room, imports in MAY_IMPORT.items():
        below = set(listed[: listed.index(room)])
        assert set(imports.split()) <= below, f"{room} stands below {sorted(set(imports.split()) - below)}"


def test_no_router_imports_another() -> None:
    """What several routes share is in modules without routes."""
    folder = rooms.ROOT / rooms.PACKAGE / "routers"
    texts = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.py")}
    routers = {name for name, text in texts.items() if "= APIRouter(" in text}
    assert len(routers) > 10
    for name, text in texts.items():
        imported = set(re.findall(r"^from services\.routers\.(\w+) import", text, re.MULTILINE))
        assert not imported & routers, f"{name} imports the routes of {sorted(imported & routers)}"


def test_a_circle_is_not_drawn() -> None:
    assert rooms.floors({"a": set(), "b": {"a"}, "c": {"a", "b"}}) == [["a"], ["b"], ["c"]]
    with pytest.raises(ValueError, match="circle"):
        rooms.floors({"a": {"b"}, "b": {"a"}})


def test_imports_are_read_wherever_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {
        "low": "",
        "late": "def f():\n    from services import low\n",
        "room/__init__": "",
        "room/inner": "import services.low\nfrom services.room.other import x\nfrom services.late import f\n",
        "__init__": "",
    }.items():
        path = tmp_path / "services" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(rooms, "ROOT", tmp_path)
    assert rooms.room_imports() == {"low": set(), "late": {"low"}, "room": {"low", "late"}}


def test_the_drawing_leaves_out_what_a_longer_way_implies() -> None:
    drawn = rooms.drawing({"a": set(), "b": {"a"}, "c": {"a", "b"}})
    assert "c --> b" in drawn
    assert "b --> a" in drawn
    assert "c --> a" not in drawn
