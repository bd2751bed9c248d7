"""The base class and common column types of the tables."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import JSON, BigInteger, Integer, MetaData, String
from sqlalchemy.orm import DeclarativeBase

from storage.columns import UtcDateTime

ID: Final = String(40)
NAME: Final = String(200)

NAME_KEY: Final = String(600)
"""A name's key for comparisons; case folding can triple the number of characters."""

BIG_ID: Final = BigInteger().with_variant(Integer, "sqlite")
"""An automatic ID; SQLite increments only ``INTEGER`` automatically."""


class Base(DeclarativeBase):
    """Base class of the tables. Constraints are named, as migrations on SQLite require."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[str]: JSON}  # noqa: RUF012 - SQLAlchemy's own declaration
