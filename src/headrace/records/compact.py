"""Column types for tables with very many rows: ids and digests as the bytes they stand for, less than half of their text."""

from sqlalchemy import Dialect, LargeBinary, SmallInteger
from sqlalchemy.types import TypeDecorator
from ulid import ULID

from headrace.model.digest import hex_of
from headrace.model.ids import Kind, is_id
from headrace.model.trust import Trust

#: Begins what is no id. No ULID does before the year 10000.
_TEXT = b"\xff"


class IdBytes(TypeDecorator[str]):
    """An id of one kind. Sorts like its text. Other text is kept too, so that an unknown id is just not found."""

    impl = LargeBinary
    cache_ok = True

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002 - SQLAlchemy's
        return None if value is None else id_bytes(self.kind, value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's
        if value is None:
            return None
        if value[:1] == _TEXT:
            return value[1:].decode()
        return f"{self.kind}_{str(ULID.from_bytes(value)).lower()}"


class DigestBytes(TypeDecorator[str]):
    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002 - SQLAlchemy's
        return None if value is None else bytes.fromhex(hex_of(value))

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's
        return None if value is None else f"sha256:{value.hex()}"


class TrustNumber(TypeDecorator[Trust]):
    """Trusted is 0, for which SQLite stores nothing but the type."""

    impl = SmallInteger
    cache_ok = True

    def process_bind_param(self, value: Trust | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's
        return None if value is None else int(value != Trust.TRUSTED)

    def process_result_value(self, value: int | None, dialect: Dialect) -> Trust | None:  # noqa: ARG002 - SQLAlchemy's
        return None if value is None else Trust.UNTRUSTED if value else Trust.TRUSTED


def id_bytes(kind: Kind, identifier: str) -> bytes:
    word, _, ulid = identifier.partition("_")
    if word == kind and is_id(identifier) and ulid < "8":
        return ULID.from_str(ulid.upper()).bytes
    return _TEXT + identifier.encode()
