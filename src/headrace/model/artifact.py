"""What a build made: a manifest of files in the content-addressed store."""

from pydantic import Field

from headrace.model.digest import Digest
from headrace.model.plan import Routing
from headrace.model.value import Value


class ArtifactFile(Value):
    """One file of an artifact. Paths have no leading slash."""

    path: str
    digest: Digest
    size: int
    media_type: str
    #: Name of the content coding (`gzip`, `br`, `zstd`) -> blob with the coded bytes. Only codings that save something.
    encodings: dict[str, Digest] = Field(default_factory=dict)
    #: The name carries a content hash, so the answer may be cached for ever.
    immutable: bool = False


class Manifest(Value):
    """All files of an artifact, sorted by path, and how they answer. Its digest is the artifact's identity."""

    files: tuple[ArtifactFile, ...]
    routing: Routing = Routing()


class Artifact(Value):
    #: Digest of the manifest's canonical JSON, which is a blob in the store.
    digest: Digest
    files: int
    bytes: int
