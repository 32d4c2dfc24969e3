"""Brings what changed in a directory to its project: everything that takes effect together in one request."""

import base64
import json
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from headrace.cli.agreement import Agreement, Index
from headrace.cli.client import Client, error_of
from headrace.cli.local_files import LocalFile, LocalFiles
from headrace.cli.preview_words import Words
from headrace.source.archive import pack_directory

#: A change with more content is uploaded as an archive, or sent in several parts.
PART_BYTES = 24 << 20
PART_FILES = 20_000

#: As long as the server lets one request wait.
MOST_WAIT_SECONDS = 100

_ENTRY = re.compile(r"/files/(\d+)(?:/|$)")


class Part(NamedTuple):
    """Edits for one request: paths with what they were read as, and the version that they start from."""

    edits: list[dict[str, Any]]
    read: dict[str, LocalFile | None]
    base: str | None


class Sender:
    """Knows what the server has. Every failure to reach it is raised as ServerUnreachable and may be tried again."""

    def __init__(self, client: Client, project: str, local: LocalFiles, kept: Path, words: Words, author: str) -> None:
        self.client = client
        self.local = local
        self._project = project
        self._kept = kept
        self._words = words
        self._author = {"kind": "user", "name": author}
        self._agreement = Agreement.kept(kept)
        self._told: dict[str, str] = {}
        #: Versions that were made here.
        self.made: set[str] = set()

    @property
    def version(self) -> str | None:
        return self._agreement.version

    def forget(self) -> None:
        """Nothing is known of the server any more; what is here counts."""
        self._agreement = Agreement()

    def meet(self) -> None:
        """Ask the server what it has, and say what somebody else changed there."""
        there = Index.of(self.client.get(f"/projects/{self._project}/files"))
        if news := self._agreement.meet(self.local.files, there):
            self._words.ahead(news, there.version)

    def send(self, *, seconds: float) -> bool:
        """Send what differs, and wait until it is served or has failed. False when nothing differed."""
        self._say_left_out()
        changed = self._pending()
        if not changed:
            return False
        self._bring(changed, time.monotonic(), seconds)
        self.keep()
        return True

    def keep(self) -> None:
        """Remember for the next run what was sent, so that it does not look like somebody else's change."""
        self._agreement.keep(self._kept)

    def _bring(self, changed: Mapping[str, LocalFile | None], began: float, seconds: float) -> None:
        size = sum(file.size for file in changed.values() if file)
        if (size > PART_BYTES or len(changed) > PART_FILES) and not self._agreement.ahead:
            self._upload(changed, began, seconds)
            return
        parts = list(self._parts(changed))
        for number, part in enumerate(parts, start=1):
            # Only the last one makes the directory's state whole.
            self._send(part, began, seconds if number == len(parts) else None)

    def _pending(self) -> dict[str, LocalFile | None]:
        found = self._agreement.pending(self.local.files)
        return {path: found[path] for path in sorted(found) if path not in self.local.left_out}

    def _say_left_out(self) -> None:
        for path, why in sorted(self.local.left_out.items()):
            if self._told.get(path) != why:
                self._words.left_out(path, why)
        self._told = dict(self.local.left_out)

    def _parts(self, changed: Mapping[str, LocalFile | None]) -> Iterator[Part]:
        by_base: dict[str | None, list[str]] = defaultdict(list)
        for path in changed:
            by_base[self._agreement.base(path)].append(path)
        # What starts from the newest version goes last: it is the usual one, and its answer is waited for.
        for base in sorted(by_base, key=lambda one: one == self.version):
            edits: list[dict[str, Any]] = []
            read: dict[str, LocalFile | None] = {}
            size = 0
            for path in by_base[base]:
                edit, file = self._edit(path)
                size += file.size if file else 0
                if edits and (size > PART_BYTES or len(edits) >= PART_FILES):
                    yield Part(edits, read, base)
                    edits, read, size = [], {}, file.size if file else 0
                edits.append(edit)
                read[path] = file
            if edits:
                yield Part(edits, read, base)

    def _edit(self, path: str) -> tuple[dict[str, Any], LocalFile | None]:
        content = self.local.read(path) if path in self.local.files else None
        if content is None:
            return {"path": path, "delete": True}, None
        edit: dict[str, Any] = {"path": path, "executable": content.file.executable}
        try:
            return edit | {"content": content.data.decode(), "encoding": "utf-8"}, content.file
        except UnicodeDecodeError:
            return edit | {"content": base64.b64encode(content.data).decode(), "encoding": "base64"}, content.file

    def _send(self, part: Part, began: float, seconds: float | None) -> None:
        body = {
            "base_version": part.base,
            "author": self._author,
            "files": part.edits,
            "wait": seconds is not None,
            **({} if seconds is None else {"timeout": seconds}),
        }
        status, answer = self.client.answered(f"/projects/{self._project}/sync", body, seconds=seconds or 0)
        if status == 409 and answer.get("conflicts"):
            self._words.conflict(answer["conflicts"], answer["version"], self.local.root)
            stuck = {conflict["path"] for conflict in answer["conflicts"]}
            for path in stuck & part.read.keys():
                # It was said. When the file is saved once more, that is with this version known.
                self._agreement.settle(path, part.read[path], ahead_of=answer["version"])
            self._again(part, stuck, began, seconds)
        elif status >= 400:
            wrong = {
                int(found[1]): error for error in answer.get("errors", ()) if (found := _ENTRY.match(error["pointer"]))
            }
            if not wrong:
                raise error_of(status, json.dumps(answer).encode())
            for index, error in wrong.items():
                path = part.edits[index]["path"]
                self._words.left_out(path, error["message"])
                self._agreement.settle(path, part.read[path])
            self._again(part, {part.edits[index]["path"] for index in wrong}, began, seconds)
        else:
            self._sent(part, answer, began, told=seconds is not None)

    def _again(self, part: Part, without: set[str], began: float, seconds: float | None) -> None:
        """Nothing of a refused request was done; the rest of it may be."""
        edits = [edit for edit in part.edits if edit["path"] not in without]
        if edits and len(edits) < len(part.edits):
            self._send(
                part._replace(edits=edits, read={e["path"]: part.read[e["path"]] for e in edits}), began, seconds
            )

    def _sent(self, part: Part, answer: Any, began: float, *, told: bool) -> None:
        # One that is still on its way says later how it came out.
        if answer["status"] != "building" or not told:
            self.made.add(answer["version"])
        merged = bool(answer.get("merged"))
        for path, file in part.read.items():
            self._agreement.settle(path, file, ahead_of=self._agreement.base(path) if merged else None)
        if merged:
            self.meet()
        else:
            self._agreement.version = answer["version"]
        if told:
            self._words.sent(answer, {p: f is None for p, f in part.read.items()}, time.monotonic() - began)

    def _upload(self, changed: Mapping[str, LocalFile | None], began: float, seconds: float) -> None:
        """Many files at once: an archive of all, which makes one version."""
        files = dict(self.local.files)
        version = self.client.upload(f"/projects/{self._project}/versions", pack_directory(self.local.root, files))
        self.made.add(version["id"])
        # A file may have been saved while the archive was made. The server's digests say what it got.
        self._agreement = Agreement()
        self.meet()
        state = settled(self.client, self._project, version["id"], seconds)
        answer = {**state, "version": version["id"], "changes": [{"path": path} for path in changed], "merged": False}
        self._words.sent(answer, {p: f is None for p, f in changed.items()}, time.monotonic() - began)


def settled(client: Client, project: str, version: str, seconds: float) -> Any:
    """The preview's state once this version, or a newer one, is served or has failed, or time is over. Wakes a preview that sleeps."""
    state = client.post(f"/projects/{project}/preview/wake")
    deadline = time.monotonic() + seconds
    while not _is_settled(state, version) and time.monotonic() < deadline:
        time.sleep(0.1)
        state = client.get(f"/projects/{project}/preview")
    return state


def _is_settled(state: Any, version: str) -> bool:
    newest = (state["version"] or "") >= version
    served = (state["served_version"] or "") >= version
    return (state["status"] == "ready" and served) or (state["status"] == "error" and newest)
