"""What changed between two versions."""

from headrace.model.digest import Digest
from headrace.store.base import Store
from headrace.tree import load_tree
from headrace.treediff import compare_trees, unified_diff_text


async def unified_diff(store: Store, before: Digest | None, after: Digest) -> str:
    """Difference of two stored trees, files in the order of their paths."""
    old = await load_tree(store, before) if before else None
    return await unified_diff_text(compare_trees(old, await load_tree(store, after)), store.read)
