"""
Puts Headrace's own script into the pages of a preview, before every script of theirs.

The place is where a browser's parser still is in the head: behind doctype, comments, `<html>` and `<head>`. In front of
the doctype a script would change how the whole page is laid out.
"""

import re

#: Where `edge.own` serves the script.
SOURCE = "/.headrace/page.js"

#: A page whose head has not begun after so many bytes is passed on as it is.
_MOST_HELD = 64 * 1024
_BOM = b"\xef\xbb\xbf"
_SPACE = re.compile(rb"[ \t\r\n\f]*")
_VERSION = re.compile(r"[A-Za-z0-9_]{1,64}")
#: A start tag: its name, and attributes in which quotes may hide a `>`.
_TAG = re.compile(
    rb"<(?P<name>[a-z][^ \t\r\n\f/>]*+)"
    rb"(?:[ \t\r\n\f/]++|=?[^ \t\r\n\f/>=]++(?:[ \t\r\n\f]*+=[ \t\r\n\f]*+(?:\"[^\"]*+\"|'[^']*+'|[^ \t\r\n\f>\"'][^ \t\r\n\f>]*+)?)?|=)*+>",
    re.IGNORECASE,
)
_COMMENT_END = re.compile(rb"--!?>")


def inject(html: bytes, version: str | None = None) -> bytes:
    """
    The page with the script in it, which learns that it shows `version`. Text of 16 or 32 bits is left alone, and so is
    a page that has the script already.
    """
    if _is_wide(html):
        return html
    place, _ = _place(html, 0)
    if _has_it(html, place):
        return html
    return html[:place] + script(version) + html[place:]


def script(version: str | None = None) -> bytes:
    """The element that is put in."""
    shown = f' data-version="{version}"' if version and _VERSION.fullmatch(version) else ""
    return f'<script src="{SOURCE}"{shown}></script>'.encode()


class Injector:
    """The same for a page that comes in pieces: the first ones are held until the place is known."""

    def __init__(self, version: str | None = None) -> None:
        self._version = version
        self._held: bytes | None = b""
        self._passed = 0

    def feed(self, piece: bytes) -> bytes:
        """What may be sent now."""
        if self._held is None:
            return piece
        self._held += piece
        if len(self._held) < 4:
            return b""
        place, certain = _place(self._held, self._passed)
        # What lies before the place need not be looked at again.
        self._passed = place
        if certain or _is_wide(self._held):
            return self.end()
        if len(self._held) > _MOST_HELD:
            page, self._held = self._held, None
            return page
        return b""

    def end(self) -> bytes:
        """What is still held when the page has ended."""
        if self._held is None:
            return b""
        page, self._held = self._held, None
        return inject(page, self._version)


def _place(html: bytes, start: int) -> tuple[int, bool]:
    """Where the script goes, looking on from `start`; and whether nothing that follows could change it."""
    place = start
    if not start and html.startswith(_BOM):
        place = len(_BOM)
    while True:
        at = _after_space(html, place)
        if at >= len(html):
            return place, False
        end = _end_of_unseen(html, at)
        if end is None:
            end, last = _end_of_outer_tag(html, at)
            if last:
                return end, True
        if end == 0:
            return place, not _may_become_more(html, at)
        place = end


def _after_space(html: bytes, at: int) -> int:
    found = _SPACE.match(html, at)
    return found.end() if found else at


def _end_of_unseen(html: bytes, at: int) -> int | None:
    """The end of a comment, a doctype or a processing instruction; 0 when it has none; None when there is none of them."""
    if html.startswith(b"<!--", at):
        if html.startswith(b">", at + 4):
            return at + 5
        if html.startswith(b"->", at + 4):
            return at + 6
        found = _COMMENT_END.search(html, at + 4)
        return found.end() if found else 0
    if html.startswith((b"<!", b"<?"), at):
        return html.find(b">", at) + 1
    return None


def _end_of_outer_tag(html: bytes, at: int) -> tuple[int, bool]:
    """The end of `<html>` or `<head>`, and whether it is the head's; 0 when there is another thing."""
    tag = _TAG.match(html, at)
    name = tag["name"].lower() if tag else b""
    if tag is None or name not in (b"html", b"head"):
        return 0, False
    return tag.end(), name == b"head"


def _may_become_more(html: bytes, at: int) -> bool:
    """Whether what begins here could still turn out to be one of what the script goes behind."""
    rest = html[at : at + 6].lower()
    begins = any(rest.startswith(word) or word.startswith(rest) for word in (b"<!", b"<?", b"<html", b"<head"))
    return begins and _end_of_unseen(html, at) in (None, 0) and not _TAG.match(html, at)


def _has_it(html: bytes, place: int) -> bool:
    return html.startswith(f'<script src="{SOURCE}"'.encode(), place)


def _is_wide(html: bytes) -> bool:
    return html.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in html[:4]
