"""What the edge needs of previews. `preview.sessions.Previews` is it."""

from typing import Protocol

from headrace.model.preview import PreviewEvent
from headrace.preview.visit import Visit


class Previews(Protocol):
    async def look(self, slug: str) -> Visit | None:
        """
        How a preview stands; None when no project has this address. Wakes nothing and waits for nothing: it is asked before
        anybody knows whether the visitor may come in.
        """
        ...

    async def visit(
        self, slug: str, *, min_version: str | None = None, seconds: float = 30.0, of_open_page: bool = False
    ) -> Visit | None:
        """
        What a visitor sees now. Wakes a preview that sleeps, except for what an open page loads from one that somebody put
        to sleep. With `min_version` it waits until that version, or a newer one, is served or has failed, at most `seconds`.
        """
        ...

    def log(self, project_id: str) -> str:
        """Name of the project's preview log."""
        ...

    async def record(self, event: PreviewEvent) -> None:
        """Append one fact to it."""
        ...
