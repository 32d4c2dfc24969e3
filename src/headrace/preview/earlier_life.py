"""What a builder leaves for its next life: caches of its own that make it start faster, such as pre-bundled dependencies."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from headrace.errors import HeadraceError, NotFound
from headrace.layers.layers import Layers
from headrace.model.digest import Digest, digest_of
from headrace.model.plan import CacheKey, KeyInput
from headrace.model.project import Project
from headrace.preview.choice import Choice


class EarlierLife:
    """
    A layer of this project alone: what one tenant's process wrote is never mounted for another. Its key names the
    dependencies, so that other ones begin anew; the tool checks the rest itself.
    """

    def __init__(
        self, layers: Layers, data_dir: Path, project: Project, dependencies: Digest | None, choice: Choice
    ) -> None:
        self._layers = layers
        self._scratch = data_dir / "builds"
        name = f"preview {project.id} {choice.name} {choice.mode}"
        inputs = (
            KeyInput(name="preview", digest=digest_of(name.encode())),
            KeyInput(name="dependencies", digest=dependencies or digest_of(b"")),
        )
        self._key = CacheKey(
            digest=digest_of("\n".join(f"{entry.name} {entry.digest}" for entry in inputs).encode()), inputs=inputs
        )
        self._scope = f"project:{project.id}"

    @contextmanager
    def pinned(self) -> Iterator[Sequence[Path]]:
        """The layer's directory, or nothing."""
        with ExitStack() as held:
            kept: Sequence[Path] = ()
            with suppress(NotFound):
                kept = (held.enter_context(self._layers.pin(self._key.digest)).path,)
            yield kept

    def keep(self, directories: Sequence[str], take: Callable[[str, Path], bool]) -> None:
        """Take them out of the sandbox, in which nothing runs any more. What can't be kept is made again."""
        if self._layers.find(self._key.digest) is not None:
            return
        with suppress(HeadraceError, OSError):
            self._scratch.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix=".preview-", dir=self._scratch))
            try:
                found = [self._take(made, directory, take) for directory in directories]
                if any(found):
                    self._layers.commit(self._key, made, made_by="", seconds=0, scope=self._scope)
            finally:
                shutil.rmtree(made, ignore_errors=True)

    @staticmethod
    def _take(made: Path, directory: str, take: Callable[[str, Path], bool]) -> bool:
        (made / directory).parent.mkdir(parents=True, exist_ok=True)
        return take(directory, made / directory)
