"""What this process remembers between syncs: the newest trees of projects that change now, and whose turn it is."""

import asyncio
from collections import OrderedDict
from weakref import WeakValueDictionary

from headrace.model.digest import Digest
from headrace.model.version import Version
from headrace.store.base import Store
from headrace.sync.known_tree import KnownTree
from headrace.tree import load_tree

#: About 60 MB at most.
_FILES = 50_000
_TREES = 1024
_HEADS = 4096
#: A tree made from one that is known shares its files with it, and has only lists of its own.
_SHARED = 8


class RecentTrees:
    """
    Trees by their digest, the last used ones. They never change, so nobody has to be told when somebody else makes a version.
    """

    def __init__(self, store: Store, *, files: int = _FILES, trees: int = _TREES) -> None:
        self._store = store
        self._files, self._trees = files, trees
        self._held = 0
        #: With what each weighs, in files.
        self._known: OrderedDict[Digest, tuple[KnownTree, int]] = OrderedDict()
        self._heads: OrderedDict[str, Version] = OrderedDict()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def turn(self, project_id: str) -> asyncio.Lock:
        """Held by the one sync of the project that runs. Others wait in the order in which they came."""
        lock = self._turns.get(project_id)
        if lock is None:
            lock = self._turns[project_id] = asyncio.Lock()
        return lock

    def head(self, project_id: str) -> Version | None:
        """The newest version of the project that a sync of this process has made. Another process may have made one since."""
        return self._heads.get(project_id)

    async def get(self, digest: Digest) -> KnownTree:
        """Raises NotFound or CorruptBlob."""
        if (known := self._known.get(digest)) is not None:
            self._known.move_to_end(digest)
            return known[0]
        loaded = await load_tree(self._store, digest)
        tree = await asyncio.to_thread(KnownTree.of, loaded) if len(loaded.files) > 500 else KnownTree.of(loaded)
        self._keep(digest, tree, len(tree))
        return tree

    def remember(self, version: Version, tree: KnownTree) -> None:
        """Keep a new version with its tree, which was made from one of these."""
        self._keep(version.tree, tree, len(tree) // _SHARED)
        self._heads[version.project_id] = version
        self._heads.move_to_end(version.project_id)
        if len(self._heads) > _HEADS:
            self._heads.popitem(last=False)

    def _keep(self, digest: Digest, tree: KnownTree, weight: int) -> None:
        self._forget(digest)
        self._known[digest] = (tree, weight)
        self._held += weight
        while self._known and (self._held > self._files or len(self._known) > self._trees):
            self._forget(next(iter(self._known)))

    def _forget(self, digest: Digest) -> None:
        if (known := self._known.pop(digest, None)) is not None:
            self._held -= known[1]
