"""
Hostile repositories, each made with git's plumbing, and what has to come of it.

`ok` means that the files are taken as data; anything else is the code of the refusal: the reason of the failed build, or the
error's own code. The maker gets an empty bare repository and a path that nothing may ever create.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

Entries = dict[bytes, tuple[str, str]]


class Repository(Protocol):
    """What `conftest.Repository` has."""

    path: Path

    def git(self, *arguments: str, stdin: bytes = b"") -> str: ...
    def blob(self, data: bytes) -> str: ...
    def tree(self, entries: Entries) -> str: ...
    def commit_tree(self, tree: str, message: str = ..., branch: str = ..., parents: tuple[str, ...] = ...) -> str: ...
    def commit(self, files: dict[str, bytes], message: str = ..., branch: str = ...) -> str: ...


Maker = Callable[[Repository, Path], None]


@dataclass(frozen=True)
class Case:
    #: Rows of the register.
    rows: str
    make: Maker
    outcome: str
    #: Settings that are lowered, so that a small repository is beyond them.
    limits: dict[str, int] = field(default_factory=dict)
    #: What is asked for; the default branch without it.
    ref: str | None = None


CASES: dict[str, Case] = {}

FORBIDDEN, LARGE, EMPTY = "source_forbidden", "source_too_large", "source_empty"


def case(rows: str, outcome: str, *, ref: str | None = None, **limits: int) -> Callable[[Maker], Maker]:
    def add(make: Maker) -> Maker:
        CASES[make.__name__] = Case(rows=rows, make=make, outcome=outcome, limits=limits, ref=ref)
        return make

    return add


def raw_object(repository: Repository, kind: str, data: bytes) -> str:
    return repository.git("hash-object", "-w", "-t", kind, "--literally", "--stdin", stdin=data)


def top(repository: Repository, entries: Entries) -> None:
    repository.commit_tree(repository.tree(entries))


def one(repository: Repository, name: bytes, mode: str = "100644", content: bytes = b"x") -> None:
    top(repository, {name: (mode, repository.blob(content))})


def below(repository: Repository, *names: bytes, mode: str = "100644", content: bytes = b"x") -> None:
    """One file below directories of these names."""
    entry = (mode, repository.blob(content))
    for name in reversed(names[1:]):
        entry = ("40000", repository.tree({name: entry}))
    top(repository, {names[0]: entry})


def commit_object(repository: Repository, data: bytes) -> None:
    """A commit byte by byte, at the top of the branch."""
    made = raw_object(repository, "commit", data)
    (repository.path / "refs/heads/main").write_text(f"{made}\n")


def submodule(repository: Repository, *lines: str, path: str = "lib") -> None:
    text = '[submodule "m"]\n' + "".join(f"\t{line}\n" for line in (f"path = {path}", *lines))
    modules = ("100644", repository.blob(text.encode()))
    top(repository, {b".gitmodules": modules, b"lib": ("160000", "ab" * 20)})


# -- names that some system takes for .git (B52) ---------------------------------------------------------------------


@case("B52", FORBIDDEN)
def a_git_directory_below_another(r: Repository, canary: Path) -> None:
    below(
        r,
        b"a",
        b"b",
        b".git",
        b"hooks",
        b"post-checkout",
        mode="100755",
        content=b"#!/bin/sh\ntouch %s" % bytes(canary),
    )


@case("B52", FORBIDDEN)
def a_file_that_leads_git_elsewhere(r: Repository, canary: Path) -> None:
    one(r, b".git", content=b"gitdir: %s\n" % bytes(canary.parent))


@case("B52", FORBIDDEN)
def a_link_named_git(r: Repository, canary: Path) -> None:
    one(r, b".git", "120000", bytes(canary.parent))


@case("B52", FORBIDDEN)
def the_second_short_name_of_windows(r: Repository, canary: Path) -> None:
    below(r, b"GIT~2", b"config")


@case("B52", FORBIDDEN)
def a_git_directory_written_with_backslashes(r: Repository, canary: Path) -> None:
    one(r, b".git\\config", content=b"[core]\n\tfsmonitor = touch %s\n" % bytes(canary))


@case("B52", FORBIDDEN)
def invisible_characters_in_git(r: Repository, canary: Path) -> None:
    below(r, ".\u200dg\ufeffit".encode(), b"config")


@case("B52", FORBIDDEN)
def a_submodule_in_the_place_of_git(r: Repository, canary: Path) -> None:
    top(r, {b".git": ("160000", "ab" * 20)})


# -- names that lead out (B51, B54) -----------------------------------------------------------------------------------


@case("B54", FORBIDDEN)
def a_name_with_slashes(r: Repository, canary: Path) -> None:
    one(r, b"../../canary")


@case("B54", FORBIDDEN)
def an_absolute_name(r: Repository, canary: Path) -> None:
    one(r, bytes(canary))


@case("B54", FORBIDDEN)
def dots_below_a_directory(r: Repository, canary: Path) -> None:
    below(r, b"a", b"..", b"..", b"canary")


@case("B54", "ok")
def backslashes_are_characters(r: Repository, canary: Path) -> None:
    one(r, b"..\\..\\canary")


@case("B54", "ok")
def names_that_a_shell_would_run(r: Repository, canary: Path) -> None:
    touch = f"touch {canary.name}"
    names = (
        f"$({touch})",
        f"`{touch}`",
        f";{touch};",
        f"|{touch}",
        f"&& {touch}",
        "-rf",
        "--help",
        "*",
        "~",
        "!$",
        "'\"",
    )
    blob = r.blob(b"x")
    top(r, dict.fromkeys(sorted(name.encode() for name in names), ("100644", blob)))


@case("B54", "ok")
def names_that_a_terminal_would_obey(r: Repository, canary: Path) -> None:
    names = (b"\x1b]52;c;Zm9v\x07", b"\x1b[2J", b"a\r\nb", b"\x7f", "\u202ecod.exe".encode(), b"\t", b" ")
    top(r, dict.fromkeys(sorted(names), ("100644", r.blob(b"x"))))


@case("B54", "path.invalid")
def a_name_in_latin_1(r: Repository, canary: Path) -> None:
    one(r, b"caf\xe9")


@case("B54", FORBIDDEN)
def a_name_of_256_bytes(r: Repository, canary: Path) -> None:
    one(r, b"n" * 256)


@case("B55", LARGE)
def five_thousand_directories_deep(r: Repository, canary: Path) -> None:
    # A name of its own for each level would cost a process each: the deepest 64 are made once and put below one another.
    entry = ("40000", r.tree({b"f": ("100644", r.blob(b"x"))}))
    for _ in range(40):
        entry = ("40000", r.tree({b"d" * 120: entry}))
    r.commit_tree(entry[1])


# -- links (B51) ------------------------------------------------------------------------------------------------------


@case("B51", "config.symlink_forbidden")
def a_link_to_a_file_of_the_host(r: Repository, canary: Path) -> None:
    one(r, b"package.json", "120000", b"/proc/self/environ")


@case("B51", "config.symlink_forbidden")
def a_link_to_a_device(r: Repository, canary: Path) -> None:
    one(r, b"index.html", "120000", b"/dev/zero")


@case("B51", "config.symlink_forbidden")
def a_link_out_of_the_tree(r: Repository, canary: Path) -> None:
    below(r, b"a", b"up", mode="120000", content=b"../../../canary")


@case("B51", "config.symlink_forbidden")
def links_that_lead_out_together(r: Repository, canary: Path) -> None:
    link = r.blob(b"..")
    inner = r.tree({b"up": ("120000", link)})
    top(r, {b"d": ("40000", inner), b"x": ("120000", r.blob(b"d/up/../canary"))})


@case("B51", "ok")
def links_in_circles(r: Repository, canary: Path) -> None:
    top(r, {b"a": ("120000", r.blob(b"b")), b"b": ("120000", r.blob(b"a")), b"c": ("120000", r.blob(b"c"))})


@case("B51", "ok")
def a_chain_of_a_hundred_links(r: Repository, canary: Path) -> None:
    targets = [f"l{number + 1:03}" for number in range(100)]
    # One object for all of them: a tree doesn't mind, and a chain it is by the names.
    made = r.git("hash-object", "-w", "--stdin-paths", stdin=_written(r, targets)).split("\n")
    top(r, {f"l{number:03}".encode(): ("120000", name) for number, name in enumerate(made)})


def _written(r: Repository, texts: list[str]) -> bytes:
    place = r.path / "texts"
    place.mkdir()
    for number, text in enumerate(texts):
        (place / str(number)).write_text(text)
    return "".join(f"{place / str(number)}\n" for number in range(len(texts))).encode()


@case("B51", FORBIDDEN)
def a_link_longer_than_a_path(r: Repository, canary: Path) -> None:
    one(r, b"l", "120000", b"x/" * 3000)


@case("B51", FORBIDDEN)
def a_file_behind_a_link(r: Repository, canary: Path) -> None:
    link, inner = r.blob(bytes(canary.parent)), r.tree({b"canary": ("100644", r.blob(b"x"))})
    lines = b"120000 d\0" + bytes.fromhex(link) + b"40000 d\0" + bytes.fromhex(inner)
    r.commit_tree(raw_object(r, "tree", lines))


# -- submodules (B49, B50) --------------------------------------------------------------------------------------------


@case("B49", "ok")
def a_submodule_with_a_helper(r: Repository, canary: Path) -> None:
    submodule(r, f"url = ext::sh -c touch% {canary}")


@case("B49", "ok")
def a_submodule_in_a_file(r: Repository, canary: Path) -> None:
    submodule(r, "url = file:///etc")


@case("B49", "ok")
def a_submodule_at_an_internal_address(r: Repository, canary: Path) -> None:
    submodule(r, "url = http://169.254.169.254/latest/meta-data")


@case("B49", FORBIDDEN)
def a_submodule_with_an_option(r: Repository, canary: Path) -> None:
    submodule(r, f"url = -u./payload;touch {canary}")


@case("B49", FORBIDDEN)
def a_submodule_with_a_newline_in_its_address(r: Repository, canary: Path) -> None:
    submodule(r, 'url = "https://git.example/\\nhost=evil"')


@case("B49", FORBIDDEN)
def a_submodule_that_updates_by_a_command(r: Repository, canary: Path) -> None:
    submodule(r, "url = https://git.example/m", f"update = !touch {canary}")


@case("B50", "ok")
def a_submodule_whose_path_ends_in_a_carriage_return(r: Repository, canary: Path) -> None:
    submodule(r, "url = https://git.example/m", path='"lib\\r"')


@case("B50", FORBIDDEN)
def a_submodule_whose_path_is_an_option(r: Repository, canary: Path) -> None:
    submodule(r, "url = https://git.example/m", path="-x")


@case("B50", FORBIDDEN)
def submodules_described_behind_a_link(r: Repository, canary: Path) -> None:
    one(r, b".gitmodules", "120000", b"/etc/passwd")


@case("B50", "ok")
def a_submodule_below_a_link(r: Repository, canary: Path) -> None:
    modules = b'[submodule "m"]\n\tpath = a/b\n\turl = https://git.example/m\n'
    entries: Entries = {
        b".gitmodules": ("100644", r.blob(modules)),
        b"a": ("120000", r.blob(b".")),
        b"b": ("160000", "ab" * 20),
    }
    top(r, entries)


# -- what git would act on in a checkout (B53, B59, B61) -----------------------------------------------------------------


@case("B53", "ok")
def attributes_with_filters(r: Repository, canary: Path) -> None:
    attributes = b"* filter=lfs diff=lfs merge=lfs -text ident export-subst working-tree-encoding=UTF-16 eol=crlf\n"
    r.commit({".gitattributes": attributes, "sub/.gitattributes": b"[attr]x filter=y\n* x\n", "a": b"$Id$\n"})


@case("B53", "ok")
def attributes_behind_a_link(r: Repository, canary: Path) -> None:
    below(r, b"sub", b".gitattributes", mode="120000", content=b"../a")


@case("B53", "ok")
def a_pointer_to_a_terabyte_at_an_internal_host(r: Repository, canary: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:%b\nsize 1099511627776\n" % (b"ab" * 32)
    config = b"[lfs]\n\turl = http://169.254.169.254/\n[lfs.customtransfer.x]\n\tpath = /bin/sh\n"
    r.commit({"big.bin": pointer, ".lfsconfig": config, "odd": pointer[:-10] + b"-1\n"})


@case("B59", "ok")
def bundles_offered_by_the_server(r: Repository, canary: Path) -> None:
    r.commit({"a": b"1"})
    for name, value in (
        ("uploadpack.advertiseBundleURIs", "true"),
        ("bundle.version", "1"),
        ("bundle.mode", "all"),
        ("bundle.x.uri", f"file://{canary}"),
    ):
        r.git("config", name, value)


@case("B61", "ok")
def a_bare_repository_in_the_tree(r: Repository, canary: Path) -> None:
    config = f"[core]\n\tbare = true\n\tfsmonitor = touch {canary}\n\tsshCommand = touch {canary}\n"
    hook = f"#!/bin/sh\ntouch {canary}\n"
    files = {
        "HEAD": "ref: refs/heads/main\n",
        "config": config,
        "hooks/post-checkout": hook,
        "objects/x": "",
        "refs/x": "",
    }
    r.commit({f"{place}{name}": text.encode() for place in ("", "sub/") for name, text in files.items()})


@case("B61", "ok")
def a_worktree_in_the_tree(r: Repository, canary: Path) -> None:
    r.commit({"commondir": bytes(canary.parent), "gitdir": bytes(canary), "config.worktree": b"[core]\n\teditor = x\n"})


# -- objects that are not what they should be (B48, B52) -----------------------------------------------------------------


@case("B52", FORBIDDEN)
def one_name_twice(r: Repository, canary: Path) -> None:
    line = b"100644 a\0" + bytes.fromhex(r.blob(b"1"))
    r.commit_tree(raw_object(r, "tree", line + line))


@case("B52", FORBIDDEN)
def a_tree_out_of_order(r: Repository, canary: Path) -> None:
    blob = bytes.fromhex(r.blob(b"1"))
    r.commit_tree(raw_object(r, "tree", b"100644 b\0" + blob + b"100644 a\0" + blob))


@case("B52", FORBIDDEN)
def a_commit_with_a_nul_in_its_head(r: Repository, canary: Path) -> None:
    tree = r.tree({b"a": ("100644", r.blob(b"1"))}).encode()
    commit_object(r, b"tree %b\nauthor a\0 <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx" % tree)


@case("B52", FORBIDDEN)
def a_commit_without_an_author(r: Repository, canary: Path) -> None:
    tree = r.tree({b"a": ("100644", r.blob(b"1"))}).encode()
    commit_object(r, b"tree %b\ncommitter a <a@b> 1 +0000\n\nx" % tree)


@case("B102", "ok")
def a_message_and_an_author_that_a_page_would_run(r: Repository, canary: Path) -> None:
    tree = r.tree({b"a": ("100644", r.blob(b"1"))}).encode()
    who = b"<script>alert(1)</script>\x1b[2J <a@b> 1 +0000"
    commit_object(
        r, b"tree %b\nauthor %b\ncommitter %b\nencoding klingon\n\n\x1b]0;x\x07<img onerror=x>\xff" % (tree, who, who)
    )


@case("B54", "ok")
def old_modes_and_bits_that_files_do_not_have(r: Repository, canary: Path) -> None:
    blob = r.blob(b"#!/bin/sh\n")
    top(r, {b"group": ("100664", blob), b"setuid": ("104755", blob)})


@case("B48", LARGE, upload_files=1000)
def a_tree_of_trees(r: Repository, canary: Path) -> None:
    entry = ("100644", r.blob(b"bomb"))
    for _ in range(10):
        entry = ("40000", r.tree({b"d%d" % number: entry for number in range(10)}))
    r.commit_tree(entry[1])


@case("B48", LARGE, upload_bytes=4 << 20)
def a_file_that_packs_to_nothing(r: Repository, canary: Path) -> None:
    one(r, b"zero", content=bytes(48 << 20))


@case("B48", LARGE, upload_bytes=4 << 20)
def one_file_under_a_thousand_names(r: Repository, canary: Path) -> None:
    blob = r.blob(bytes(64 << 10))
    top(r, {f"f{number:04}".encode(): ("100644", blob) for number in range(1000)})


@case("B55", LARGE, upload_files=2000)
def more_files_than_are_taken(r: Repository, canary: Path) -> None:
    blob = r.blob(b"")
    inner = r.tree({f"f{number:03}".encode(): ("100644", blob) for number in range(300)})
    top(r, {f"d{number}".encode(): ("40000", inner) for number in range(7)})


@case("B47", LARGE)
def a_message_of_two_megabytes(r: Repository, canary: Path) -> None:
    tree = r.tree({b"a": ("100644", r.blob(b"1"))}).encode()
    commit_object(r, b"tree %b\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\n%b" % (tree, b"x" * (2 << 20)))


# -- refs (B41, B47) --------------------------------------------------------------------------------------------------


@case("B47", "ok")
def twenty_thousand_branches(r: Repository, canary: Path) -> None:
    commit = r.commit({"a": b"1"})
    lines = "".join(f"{commit} refs/heads/b{number:05}\n" for number in range(20_000))
    (r.path / "packed-refs").write_text("# pack-refs with: peeled fully-peeled sorted \n" + lines)


@case("B41", "ok")
def a_default_branch_that_looks_like_an_option(r: Repository, canary: Path) -> None:
    commit = r.commit({"a": b"1"})
    odd = f"refs/heads/--upload-pack=touch${{IFS}}{canary.name}"
    target = r.path / odd
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(f"{commit}\n")
    (r.path / "HEAD").write_text(f"ref: {odd}\n")


@case("B41", "ok", ref="v1")
def a_tag_of_a_tag_of_a_tag(r: Repository, canary: Path) -> None:
    at = r.commit({"a": b"1"})
    kind = "commit"
    for number in range(50):
        text = f"object {at}\ntype {kind}\ntag t{number}\ntagger a <a@b> 1 +0000\n\nx\n"
        at, kind = raw_object(r, "tag", text.encode()), "tag"
    (r.path / "refs/tags/v1").write_text(f"{at}\n")


@case("B42", "source.commit_invalid", ref="v1")
def a_tag_of_a_tree(r: Repository, canary: Path) -> None:
    commit = r.commit({"a": b"1"})
    r.git("tag", "v1", f"{commit}^{{tree}}")


@case("B41", "source_not_found", ref="main")
def a_branch_that_is_there_only_as_a_proposal(r: Repository, canary: Path) -> None:
    commit = r.commit({"a": b"1"}, branch="other")
    r.git("update-ref", "refs/pull/1/head", commit)


@case("B45", EMPTY)
def a_commit_with_empty_directories(r: Repository, canary: Path) -> None:
    top(r, {b"a": ("40000", r.tree({}))})


# -- twins (B56) ------------------------------------------------------------------------------------------------------


@case("B56", "ok")
def names_that_differ_in_case(r: Repository, canary: Path) -> None:
    r.commit({"README": b"1", "readme": b"2", "A/x": b"3", "a/x": b"4"})


@case("B56", "ok")
def names_that_look_the_same(r: Repository, canary: Path) -> None:
    r.commit({"caf\u00e9": b"composed", "cafe\u0301": b"decomposed", "\u0441af\u00e9": b"cyrillic"})


# -- repositories that git's own server stumbles over (B57) ----------------------------------------------------------------


@case("B57", "source_unreachable")
def a_blob_that_the_server_lost(r: Repository, canary: Path) -> None:
    blob = r.blob(b"lost")
    top(r, {b"a": ("100644", blob)})
    (r.path / "objects" / blob[:2] / blob[2:]).unlink()


@case("B57", "source_unreachable")
def a_damaged_object(r: Repository, canary: Path) -> None:
    blob = r.blob(b"damaged")
    top(r, {b"a": ("100644", blob)})
    place = r.path / "objects" / blob[:2] / blob[2:]
    place.chmod(0o644)
    place.write_bytes(zlib.compress(b"blob 7\0somethi"))


@case("B57", "source_unreachable")
def a_name_of_nothing(r: Repository, canary: Path) -> None:
    one(r, b"")


@case("B57", "source_unreachable")
def a_tree_that_ends_in_the_middle(r: Repository, canary: Path) -> None:
    commit_object(
        r,
        b"tree %b\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx"
        % raw_object(r, "tree", b"100644 a\0\1\2").encode(),
    )


def outcome_of(error: Any) -> str:
    """The code of an error of ours, or the reason of a failed step."""
    failure = getattr(error, "failure", None)
    return str(failure.reason.value) if failure is not None else str(error.exact_code)
