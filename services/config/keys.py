"""Every key there is, read from the models."""

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from inspect import isclass
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from services.config.node import KeyPath

ENGINE = "<name>"
"""Stands in a key's path for the name of an engine."""

ANY = "<key>"
"""Stands in a key's path for the key of a section that is one of many, such as a plan's name."""


class Shape(Enum):
    """What may stand at a key."""

    VALUE = auto()
    SECTION = auto()
    """A mapping with known keys."""
    NAMED = auto()
    """A list of sections, each with a ``name``."""
    MAPPING = auto()
    """A mapping with any keys."""
    KEYED = auto()
    """A mapping of sections, with any keys."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the settings.

    Attributes:
        name: Its own name, without the sections it is in.
        field: Its definition.
        shape: What may stand there.
        model: The section, or the model of the sections of a named list or a keyed mapping.
        types: What its values may be, ``None`` left out.
        nullable: Whether ``null`` is a value of it.
    """

    name: str
    field: FieldInfo
    shape: Shape
    model: type[BaseModel] | None
    types: tuple[Any, ...]
    nullable: bool

    @property
    def description(self) -> str:
        """What it is for, in one line of Markdown."""
        text = self.field.description
        if text is None and self.model is not None:
            text = (self.model.__doc__ or "").partition("\n")[0].replace("``", "`")
        return " ".join((text or "").split())


def keys_of(model: type[BaseModel]) -> Mapping[str, Key]:
    """The keys of one section, in order."""
    return {name: _key(name, field) for name, field in model.model_fields.items()}


def walk(model: type[BaseModel], prefix: KeyPath = ()) -> Iterator[tuple[KeyPath, Key]]:
    """Every key below ``model``, outer ones first; :data:`ENGINE` stands for an engine's name."""
    for name, key in keys_of(model).items():
        path = (*prefix, name)
        yield path, key
        if key.model is not None:
            stand_in = {Shape.NAMED: (ENGINE,), Shape.KEYED: (ANY,)}.get(key.shape, ())
            yield from walk(key.model, (*path, *stand_in))


def _key(name: str, field: FieldInfo) -> Key:
    members = _members(field.annotation)
    kinds = tuple(member for member in members if member is not types.NoneType)
    shape, model = Shape.VALUE, None
    if len(kinds) == 1:
        shape, model = _shape(kinds[0])
    return Key(name, field, shape, model, kinds, nullable=types.NoneType in members)


def _members(annotation: Any) -> tuple[Any, ...]:  # noqa: ANN401 - an annotation is anything
    """The types a value may have: a union's members, what ``Annotated`` wraps, or the type itself."""
    if get_origin(annotation) in {Union, types.UnionType}:
        return tuple(kind for member in get_args(annotation) for kind in _members(member))
    if hasattr(annotation, "__metadata__"):
        return _members(get_args(annotation)[0])
    return (annotation,)


def _shape(kind: Any) -> tuple[Shape, type[BaseModel] | None]:  # noqa: ANN401 - as above
    if isclass(kind) and issubclass(kind, BaseModel):
        return Shape.SECTION, kind
    arguments = get_args(kind)
    if get_origin(kind) is dict:
        if isclass(arguments[1]) and issubclass(arguments[1], BaseModel):
            return Shape.KEYED, arguments[1]
        return Shape.MAPPING, None
    if get_origin(kind) is list and isclass(arguments[0]) and issubclass(arguments[0], BaseModel):
        return Shape.NAMED, arguments[0]
    return Shape.VALUE, None
