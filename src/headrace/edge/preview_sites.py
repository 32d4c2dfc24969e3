"""The sites of previews, by the digest of their manifests, and those that a project's visitors may still have a page of."""

import asyncio
import time
from collections import OrderedDict

from headrace.edge.blobs import Blobs
from headrace.edge.site import Site
from headrace.model.artifact import Manifest
from headrace.model.digest import Digest

#: A page that is left open asks for parts of its own version. Somebody who edits fast makes many versions in that time.
GRACE_SECONDS = 600.0
_MOST_BEFORE = 8
_MOST_FILES = 100_000
_MOST_PROJECTS = 10_000
_LARGE = 256 * 1024


class PreviewSites:
    """For one event loop."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._parsed: OrderedDict[Digest, Site] = OrderedDict()
        #: Project -> what it showed, the newest first, with the time when it was last seen there.
        self._shown: OrderedDict[str, list[tuple[Site, float]]] = OrderedDict()

    async def get(self, project_id: str, manifest: Digest) -> Site:
        """Raises what the store raises."""
        site = self._parsed.get(manifest) or await self._parse(manifest)
        self._parsed.move_to_end(manifest)
        shown = self._shown.setdefault(project_id, [])
        now = time.monotonic()
        if shown and shown[0][0] is site:
            shown[0] = (site, now)
        else:
            others = [(old, seen) for old, seen in shown if old is not site and seen > now - GRACE_SECONDS]
            self._shown[project_id] = [(site, now), *others[:_MOST_BEFORE]]
            self._shown.move_to_end(project_id)
            if len(self._shown) > _MOST_PROJECTS:
                self._shown.popitem(last=False)
        return site

    def previous(self, project_id: str) -> list[Site]:
        """What the project showed before what it shows now."""
        since = time.monotonic() - GRACE_SECONDS
        return [site for site, seen in self._shown.get(project_id, ())[1:] if seen > since]

    async def _parse(self, digest: Digest) -> Site:
        data = await self._blobs.read(digest)
        site = await asyncio.to_thread(_site, data) if len(data) > _LARGE else _site(data)
        site = self._parsed.setdefault(digest, site)
        self._make_room()
        return site

    def _make_room(self) -> None:
        held = sum(len(site.files) for site in self._parsed.values())
        while held > _MOST_FILES and len(self._parsed) > 1:
            _, gone = self._parsed.popitem(last=False)
            held -= len(gone.files)
            for project_id, shown in list(self._shown.items()):
                self._shown[project_id] = [pair for pair in shown if pair[0] is not gone]


def _site(data: bytes) -> Site:
    return Site("", Manifest.model_validate_json(data), changing=True)
