"""
What changed from one tree to another: as data, and as text that people and `git apply` read.

Knows trees and bytes only; where blobs are read from is the caller's.
"""

from headrace.treediff.changes import ChangeKind, ChangeSet, FileChange, compare_trees
from headrace.treediff.files import DiffLimits, FileDiff, Hunk, Read, diff_files
from headrace.treediff.text import unified_diff_text

__all__ = [
    "ChangeKind",
    "ChangeSet",
    "DiffLimits",
    "FileChange",
    "FileDiff",
    "Hunk",
    "Read",
    "compare_trees",
    "diff_files",
    "unified_diff_text",
]
