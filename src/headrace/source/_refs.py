"""Branches and tags of a repository, and which commit a source means."""

import difflib
from dataclasses import dataclass, field

from headrace.errors import StepFailed
from headrace.model.diagnostic import FailureReason
from headrace.source._failures import source_failed

_HEADS, _TAGS = "refs/heads/", "refs/tags/"


@dataclass(frozen=True)
class Advertised:
    """What a server says that it has: full names, and what they point at (a tag's commit, not the tag itself)."""

    refs: dict[str, str] = field(default_factory=dict)
    #: Full name of the default branch.
    default: str | None = None


@dataclass(frozen=True)
class Wanted:
    commit: str
    branch: str | None
    #: False for a commit that no branch or tag points at: it may come from a stranger's fork.
    is_tip: bool


def parse_advertised(output: bytes) -> Advertised:
    """The output of `git ls-remote --symref`."""
    refs: dict[str, str] = {}
    default = None
    for line in output.decode(errors="surrogateescape").split("\n"):
        value, _, name = line.partition("\t")
        if value.startswith("ref: ") and name == "HEAD":
            default = value.removeprefix("ref: ")
        elif name.startswith((_HEADS, _TAGS)) or name == "HEAD":
            # A tag's own object comes first, the commit behind it second and with ^{}.
            refs[name.removesuffix("^{}")] = value
    return Advertised(refs=refs, default=default)


def choose(advertised: Advertised, ref: str | None, commit: str | None) -> Wanted:
    """The commit to fetch. A branch wins over a tag of the same name. Raises StepFailed when there is nothing to choose."""
    if not any(name != "HEAD" for name in advertised.refs):
        raise source_failed(
            FailureReason.SOURCE_EMPTY, "the repository has no branch and no tag", hint="push a commit to it first"
        )
    if commit:
        tips = advertised.refs.values()
        return Wanted(commit=commit, branch=branch_of(ref), is_tip=commit in tips)
    if ref is None:
        return _default(advertised)
    for name in (ref,) if ref.startswith("refs/") else (_HEADS + ref, _TAGS + ref):
        if found := advertised.refs.get(name):
            branch = name.removeprefix(_HEADS) if name.startswith(_HEADS) else None
            return Wanted(commit=found, branch=branch, is_tip=True)
    raise _no_such_ref(advertised, ref)


def _default(advertised: Advertised) -> Wanted:
    found = advertised.refs.get("HEAD")
    if found is None:
        raise source_failed(
            FailureReason.SOURCE_EMPTY,
            "the repository's default branch has no commit",
            hint=f"name a branch: {', '.join(_names(advertised)[:5])}",
        )
    default = advertised.default
    return Wanted(commit=found, branch=default.removeprefix(_HEADS) if default else None, is_tip=True)


def branch_of(ref: str | None) -> str | None:
    """The branch to say of an exact commit: the one it was asked with."""
    return ref.removeprefix(_HEADS) if ref and not ref.startswith(_TAGS) else None


def _no_such_ref(advertised: Advertised, ref: str) -> StepFailed:
    names = _names(advertised)
    near = difflib.get_close_matches(ref, names[:2000], n=3) or names[:3]
    return source_failed(
        FailureReason.SOURCE_NOT_FOUND,
        f"the repository has no branch and no tag named {ref}",
        hint=f"there is: {', '.join(near)}" if near else None,
    )


def _names(advertised: Advertised) -> list[str]:
    full = (name for name in advertised.refs if name != "HEAD")
    return [name.removeprefix(_HEADS).removeprefix(_TAGS) for name in full if name.isprintable()]
