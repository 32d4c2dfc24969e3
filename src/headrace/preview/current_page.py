"""What visitors of a preview see now: files, or a development server."""

from headrace.model.digest import Digest
from headrace.pipeline.kept_pages import KeptPage
from headrace.preview.output import Shown
from headrace.preview.visit import Upstream


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
