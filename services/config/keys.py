"""All keys of the settings, derived from the models."""

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from inspect import isclass
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from services.config.node import KeyPath
from services.config.settings import Settings

ENGINE: Final = "<name>"
"""Placeholder in a key's path for the name of an engine."""

ANY: Final = "<key>"
"""Placeholder in a key's path for the name of a section that the settings define, such as a plan."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the settings.

    Attributes:
        field: Definition of the key.
        types: Types of its values, without ``None``.
        nullable: Whether ``null`` is a valid value.
        container: ``dict`` for a section or a mapping, ``list`` for the engines, ``None`` for a value.
        below: The inner keys by name; :data:`ENGINE` or :data:`ANY` for sections that the settings define.
    """

    field: FieldInfo
    types: tuple[Any, ...]
    nullable: bool
    container: type | None
    below: Mapping[str, "Key"]

    @property
    def description(self) -> str:
        """Purpose of the key, as one line of Markdown."""
        text = self.field.description
        if text is None and self.below:
            text = (self.types[0].__doc__ or "").partition("\n")[0].replace("``", "`")
        return " ".join((text or "").split())

    def child(self, name: str) -> "Key | None":
        """Return the inner key ``name``; ``None`` if it does not exist."""
        return self.below.get(name) or self.below.get(ENGINE) or self.below.get(ANY)


def walk(key: Key | None = None, prefix: KeyPath = ()) -> Iterator[tuple[KeyPath, Key]]:
    """Yield all keys below ``key``, or all keys of the settings, with their paths; outer keys first."""
    for name, inner in (key or SETTINGS).below.items():
        path = (*prefix, name)
        if name not in {ENGINE, ANY}:
            yield path, inner
        if inner.below:
            yield from walk(inner, path)


def _key(field: FieldInfo) -> Key:
    members = _members(field.annotation)
    kinds = tuple(member for member in members if member is not types.NoneType)
    arguments = get_args(kinds[0])
    container, below = None, dict[str, Key]()
    if _is_model(kinds[0]):
        container, below = dict, {name: _key(inner) for name, inner in kinds[0].model_fields.items()}
    elif get_origin(kinds[0]) is dict:
        container = dict
        below = {ANY: _key(FieldInfo.from_annotation(arguments[1]))} if _is_model(arguments[1]) else {}
    elif get_origin(kinds[0]) is list and _is_model(arguments[0]):
        container, below = list, {ENGINE: _key(FieldInfo.from_annotation(arguments[0]))}
    return Key(field, kinds, types.NoneType in members, container, below)


def _members(annotation: Any) -> tuple[Any, ...]:  # noqa: ANN401 - an annotation is anything
    """Return the possible types of a value: a union's members, the type in ``Annotated``, or the type."""
    if get_origin(annotation) in {Union, types.UnionType}:
        return tuple(kind for member in get_args(annotation) for kind in _members(member))
    if hasattr(annotation, "__metadata__"):
        return _members(get_args(annotation)[0])
    return (annotation,)


def _is_model(kind: Any) -> bool:  # noqa: ANN401 - as above
    return isclass(kind) and issubclass(kind, BaseModel)


SETTINGS: Final = _key(FieldInfo.from_annotation(Settings))
"""The root of all keys; the sections are below it."""
