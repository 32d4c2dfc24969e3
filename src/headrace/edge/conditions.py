"""Conditional and partial requests (RFC 9110, sections 13 and 14)."""

import re

_RANGE = re.compile(rb"bytes[ \t]*=[ \t]*(?P<first>[0-9]*)[ \t]*-[ \t]*(?P<last>[0-9]*)[ \t]*", re.IGNORECASE)
_UNIT = re.compile(rb"bytes[ \t]*=", re.IGNORECASE)
#: Offsets with more digits than 2^64 has are beyond every file.
_DIGITS = 20
#: A few parts are a client's wish that may be left unfulfilled; more of them are an attack.
_MOST_PARTS = 16


class Unsatisfiable(Exception):
    """No byte of the file is in the range: 416."""


def names_etag(header: bytes, etag: bytes) -> bool:
    """Whether `If-None-Match` names `etag`: a list, weak tags as good as strong ones, or `*`."""
    return header == etag or any(_opaque(tag) in (etag, b"*") for tag in header.split(b","))


def names_etag_strongly(header: bytes, etag: bytes) -> bool:
    """The same for `If-Match`, where weak tags don't count."""
    return any(tag.strip() in (etag, b"*") for tag in header.split(b","))


def _opaque(tag: bytes) -> bytes:
    return tag.strip().removeprefix(b"W/")


def byte_range(header: bytes, size: int) -> tuple[int, int] | None:
    """
    First byte and the one after the last. None when the header is to be ignored: another unit, or several parts.
    Raises Unsatisfiable, also for what is no range.
    """
    if not _UNIT.match(header):
        return None
    parts = header.count(b",") + 1
    if parts > 1:
        if parts > _MOST_PARTS:
            raise Unsatisfiable
        return None
    found = _RANGE.fullmatch(header)
    if found is None or (not found["first"] and not found["last"]):
        raise Unsatisfiable
    if not found["first"]:
        start, end = size - min(_number(found["last"]), size), size
    else:
        start = _number(found["first"])
        end = min(_number(found["last"]) + 1, size) if found["last"] else size
    if start >= end:
        raise Unsatisfiable
    return start, end


def _number(digits: bytes) -> int:
    return int(digits) if len(digits) <= _DIGITS else 10**_DIGITS
