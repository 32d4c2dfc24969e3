"""Whose code it is: decides which caches a build may write to, and what a version may become."""

from enum import StrEnum


class Trust(StrEnum):
    TRUSTED = "trusted"
    #: A stranger's, such as what a pull request from a fork proposes.
    UNTRUSTED = "untrusted"


def least(*trusts: Trust) -> Trust:
    """What comes of things together is trusted as little as the least of them."""
    return Trust.UNTRUSTED if Trust.UNTRUSTED in trusts else Trust.TRUSTED
