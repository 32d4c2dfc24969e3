"""What visitors of a preview see now: files, or a development server."""

import asyncio

import structlog

from headrace.errors import HeadraceError
from headrace.model.digest import Digest
from headrace.pipeline.kept_pages import KeptPage, KeptPages
from headrace.preview.blobs import Blobs
from headrace.preview.output import Shown
from headrace.preview.visit import Upstream

_log = structlog.get_logger(__name__)

#: The page is put on disk when it has been still for this long.
_KEEP_AFTER_SECONDS = 2.0
#: A page that was loaded a moment ago still asks for its parts for this long.
_PARTS_SECONDS = 60


class CurrentPage:
    """Neither a manifest nor an upstream: there is nothing to see yet."""

    def __init__(
        self,
        version: str | None = None,
        manifest: Digest | None = None,
        *,
        shown: Shown | None = None,
        upstream: Upstream | None = None,
        kept: bool = False,
    ) -> None:
        self.version = version
        self.manifest = manifest
        self.shown = shown
        self.upstream = upstream
        self.kept = kept

    def __bool__(self) -> bool:
        return self.manifest is not None or self.upstream is not None

    @property
    def digests(self) -> list[Digest]:
        return list(self.shown.blobs) if self.shown is not None else []

    def of(self, version: str) -> "CurrentPage":
        """The same files for a version that changed nothing in them."""
        return CurrentPage(version, self.manifest, shown=self.shown, upstream=self.upstream)

    def map(self, path: str) -> bytes | None:
        return self.shown.maps.get(path) if self.shown is not None else None

    @staticmethod
    def of_kept(kept: KeptPage | None) -> "CurrentPage":
        return CurrentPage(kept.version, kept.manifest, kept=True) if kept is not None else CurrentPage()


class Display:
    """The page that is up. Its files are in memory, and on disk as soon as it has been still. For one event loop."""

    def __init__(self, project_id: str, blobs: Blobs, kept: KeptPages) -> None:
        self.page = CurrentPage.of_kept(kept.find(project_id))
        self._project_id = project_id
        self._blobs = blobs
        self._kept = kept
        self._keeping: asyncio.TimerHandle | None = None

    def show(self, page: CurrentPage) -> None:
        """One pointer moves: a visitor gets all of the old page or all of the new one."""
        old, self.page = self.page, page
        if page.shown is not old.shown:
            if page.shown is not None:
                self._blobs.hold(page.shown.blobs.items())
            if old.shown is not None:
                asyncio.get_running_loop().call_later(_PARTS_SECONDS, self._blobs.release, list(old.shown.blobs))
        if self._keeping is not None:
            self._keeping.cancel()
        if page.manifest is not None and not page.kept:
            loop = asyncio.get_running_loop()
            self._keeping = loop.call_later(_KEEP_AFTER_SECONDS, lambda: loop.create_task(self.keep()))

    async def keep(self) -> None:
        """Put the page on disk, so that it can be shown without the builder."""
        if self._keeping is not None:
            self._keeping.cancel()
            self._keeping = None
        page = self.page
        if page.kept or page.manifest is None or page.version is None:
            return
        try:
            await self._blobs.keep(page.digests)
            kept = KeptPage(version=page.version, manifest=page.manifest)
            await asyncio.to_thread(self._kept.keep, self._project_id, kept)
            page.kept = True
        except (HeadraceError, OSError):
            _log.exception("the page of a preview could not be kept", project_id=self._project_id)

    async def rest(self) -> None:
        """The builder is gone: what is on disk stays up, and costs no memory."""
        await self.keep()
        if self.page.upstream is not None:
            self.show(CurrentPage())
        elif self.page.kept:
            self.show(CurrentPage(self.page.version, self.page.manifest, kept=True))
