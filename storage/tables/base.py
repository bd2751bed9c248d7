"""What all tables share."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import JSON, BigInteger, Integer, MetaData, String
from sqlalchemy.orm import DeclarativeBase

from storage.columns import UtcDateTime

ID: Final = String(40)
NAME: Final = String(200)

NAME_KEY: Final = String(600)
"""A name made alike for comparing; without case it can have three times the characters."""

BIG_ID: Final = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts only ``INTEGER`` up by itself."""


class Base(DeclarativeBase):
    """The root of the tables. Constraints have names, which migrations on SQLite need."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[str]: JSON}  # noqa: RUF012 - SQLAlchemy's own declaration
