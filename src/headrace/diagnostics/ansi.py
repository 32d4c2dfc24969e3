"""Escape sequences of terminals, taken out: parsers and people who read JSON have no terminal."""

import re

_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)"  # OSC: titles, links
    r"|\x1b[@-Z\\-_]"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x9b]"
)


def plain(text: str) -> str:
    """`text` without escape sequences and control characters. What a carriage return overwrote is dropped."""
    if "\r" in text:
        text = text.rstrip("\r").rpartition("\r")[2]
    return _SEQUENCE.sub("", text)
