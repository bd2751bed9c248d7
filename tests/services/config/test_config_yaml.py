"""The subset of YAML that settings are written in."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from services.config import ConfigError
from services.config.node import MAX_DEPTH
from services.config.yaml_file import MAX_BYTES, parse_yaml, read_text


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("'true'", "true"),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-0012", -12),
        ("0x1F", 31),
        ("0o17", 15),
        ("1_000", "1_000"),
        ("10:30", "10:30"),
        ("2024-01-02", "2024-01-02"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        (".inf", ".inf"),
        (".", "."),
        ("9" * 30, 1e30),
        ("9" * 5000, "9" * 5000),
        ("'7'", "7"),
        ("|\n  7\n", "7\n"),
    ],
)
def test_scalars_follow_the_core_schema(scalar: str, value: object):
    found = parse_yaml(f"a: {scalar}\n", "x.yaml").plain()
    assert found == {"a": value}
    assert isinstance(found, dict)
    assert type(found["a"]) is type(value)


def test_lines_are_those_of_the_keys():
    root = parse_yaml("# c\na:\n  - b: 1\n    c:\n      2\n", "x.yaml")
    assert isinstance(root.content, dict)
    items = root.content["a"].content
    assert isinstance(items, list)
    assert (root.content["a"].origin, items[0].origin) == ("x.yaml:2", "x.yaml:3")
    assert isinstance(items[0].content, dict)
    assert [node.origin for node in items[0].content.values()] == ["x.yaml:3", "x.yaml:4"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x 1\nb: *x", "x.yaml:1: anchors and aliases"),
        ("a: &x [1]", "x.yaml:1: anchors and aliases"),
        ("&x a: 1", "x.yaml:1: anchors and aliases"),
        ("a: 1\nb: !!python/object/apply:os.system [x]", "x.yaml:2: tags"),
        ("a: !!str 1", "x.yaml:1: tags"),
        ("a: 1\n\na: 2", "x.yaml:3: the key 'a' is already at x.yaml:1"),
        ("a: {b: 1, b: 2}", "x.yaml:1: the key 'b' is already at x.yaml:1"),
        ("[a]: 1", "x.yaml:1: a key should be text"),
        ("- a", "x.yaml:1: should be a mapping of sections"),
        ("just words", "x.yaml:1: should be a mapping of sections"),
        ("a: 1\n---\nb: 2", "x.yaml:2: a second document"),
        ("a: 1\n b: 2", "x.yaml:2: is not YAML: "),
        ("a:\n\t- b", "x.yaml:2: is not YAML: "),
        ("a: 'open", "x.yaml:1: is not YAML: "),
        ("a: 1\nb: \x07", "x.yaml:2: contains a control character"),
        ('a: "\\UFFFFFFFF"', "x.yaml: is not YAML: an escape or a number is out of range"),
        ('a: "\\uD800"', "x.yaml:1: an unpaired surrogate"),
        ("a: " + "[" * MAX_DEPTH + "]" * MAX_DEPTH, "x.yaml:1: nested more than"),
        ("a: " + "[" * 5_000, "x.yaml:1: nested more than"),
    ],
)
def test_what_is_not_in_the_subset_is_refused(text: str, message: str):
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "x.yaml")
    assert str(caught.value).startswith(message)


def test_a_large_file_is_refused_before_it_is_parsed(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("large") / "x.yaml"
    path.write_text("# " + "x" * MAX_BYTES)
    with pytest.raises(ConfigError, match="larger than"):
        read_text(path)


@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>'\"%#\\\n \t,?0xu~1.e\ud800é"), max_size=60))
def test_any_text_is_read_or_refused(text: str):
    try:
        parse_yaml(text, "x.yaml")
    except ConfigError as error:
        places = [problem.where for problem in error.problems]
    else:
        places = []
    assert all(place.startswith("x.yaml") for place in places)


TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_what_pyyaml_writes_is_read_back(value: dict[str, object]):
    # Every text quoted, and no anchors for what occurs twice.
    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
            return True

    def quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')

    Plain.add_representer(str, quoted)
    text = yaml.dump(value, Dumper=Plain, allow_unicode=True, sort_keys=False)
    assert parse_yaml(text, "x.yaml").plain() == value
