"""
Directories as data: a directory becomes a manifest and blobs, and back.

Nothing here follows a link or waits for a FIFO, and no path or link leads out of the root. Functions that aren't `async` block;
call them in a thread.
"""

from headrace.tree.canonical import canonical, plain
from headrace.tree.paths import check_path, check_tree
from headrace.tree.scan import snapshot
from headrace.tree.stored import load_tree, store_entries, store_tree, tree_digest, write_tree

__all__ = [
    "canonical",
    "check_path",
    "check_tree",
    "load_tree",
    "plain",
    "snapshot",
    "store_entries",
    "store_tree",
    "tree_digest",
    "write_tree",
]
