"""What is part of a project. git itself says what is right."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.errors import StepFailed
from headrace.source._ignore import list_files
from headrace.source._patterns import Rules, parse_rules


def write(root: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def files_by_git(root: Path) -> list[str]:
    """The files that git would add, by its own rules."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
    }
    if not (root / ".git").exists():
        subprocess.run(["git", "init", "--quiet", "--template=", str(root)], env=env, check=True)
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--others", "--exclude-per-directory=.gitignore"],
        env=env,
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    return sorted(os.fsdecode(path) for path in listed.split(b"\0") if path)


FILES = dict.fromkeys(
    (
        *(
            "a.txt",
            "a.md",
            "b.log",
            "keep.log",
            "src/a.txt",
            "src/b.log",
            "src/deep/c.js",
            "src/deep/a.txt",
            "build/out.js",
        ),
        *(
            "build/keep/x",
            "doc/a/b/c.md",
            "doc/b/c.md",
            "doc/c.md",
            "foo/bar",
            "x/foo",
            "x/foo2/foo/y",
            "#hash",
            "!bang",
        ),
        *(
            "sp ace",
            "tail ",
            "[x]",
            "b1.js",
            "c2.js",
            "d3.js",
            "A.TXT",
            "back\\slash",
            "star*",
            "q?",
            "ab",
            "abc",
            "aXb",
            "dash-",
        ),
        *("dist/a.js", "src/dist/a.js", "sub/dist/b", "é.txt", "x.tar.gz"),
    ),
    "",
)

IGNORE_FILES = [
    "*.log\n!keep.log\n",
    "build/\n!build/keep\n",
    "/build\n",
    "*\n!*/\n!*.txt\n",
    "/*\n!/src\n",
    "foo\n",
    "foo/\n",
    "/foo\n",
    "x/foo\n",
    "**/foo\n",
    "doc/**/c.md\n",
    "doc/**\n",
    "doc/**/\n",
    "**/c.md\n",
    "doc/*/c.md\n",
    "doc/**b/c.md\n",
    "a**b\n",
    "\\#hash\n\\!bang\n",
    "#hash\n!bang\n",
    "sp ace\n",
    "tail \n",
    "tail\\ \n",
    "tail\\\\ \n",
    "[x]\n",
    "\\[x\\]\n",
    "[a-c][0-9].js\n",
    "[!b]?.js\n",
    "[^b]?.js\n",
    "[[:alpha:]][[:digit:]].js\n",
    "[[:nope:]]1.js\n",
    "[]x].js\n",
    "[b-\n",
    "[c-b]1.js\n",
    "[\\b]1.js\n",
    "[a-]\ndash[-]\n",
    "a?b\n",
    "a\n",
    "back\\\\slash\n",
    "back\\slash\n",
    "star\\*\nq\\?\n",
    "trailing\\\n",
    "a.txt\r\nb.log\r\n",
    "\ufeffa.txt\n",
    "src/*\n!src/deep\nsrc/deep/*\n!src/deep/c.js\n",
    "src//a.txt\n",
    "./a.txt\n",
    "src/\n!src/a.txt\n",
    "/\n//\n!\n\n   \n",
    "dist\n!/dist\n",
    "*.tar.*\n*.t?r.gz\n",
    "??.js\n*1*\n**\n!a*\n",
    "*/deep\n",
    "sub/*/\n",
    "/*/*/c.js\n",
    "**/**/c.md\n",
    "doc/**/**/c.md\n",
    "src/[d]eep/c.js\n",
    "src[/]a.txt\n",
    "a*b*c\n",
]


@pytest.mark.parametrize("ignore", IGNORE_FILES)
def test_an_ignore_file_means_what_it_means_to_git(tmp_path: Path, ignore: str) -> None:
    write(tmp_path, FILES)
    (tmp_path / ".gitignore").write_bytes(ignore.encode())
    assert list_files(tmp_path).paths == files_by_git(tmp_path)


def test_the_nearest_ignore_file_wins_as_it_does_for_git(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    write(
        tmp_path,
        {
            ".gitignore": "*.txt\n/doc/b\nx/\n",
            "src/.gitignore": "!a.txt\n/deep/c.js\nb.*\n",
            "src/deep/.gitignore": "a.txt\n!c.js\n",
            "doc/.gitignore": "!b\n/a/*\n",
            "x/.gitignore": "!foo\n",
        },
    )
    assert list_files(tmp_path).paths == files_by_git(tmp_path)


_WORDS = st.sampled_from(["a", "b", "ab", "*", "**", "?", "[ab]", "[!a]", "*b", "a*", "\\a", "b?"])
_LINES = st.builds(
    lambda bang, lead, words, tail: f"{bang}{lead}{'/'.join(words)}{tail}",
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "", "/"]),
    st.lists(_WORDS, min_size=1, max_size=4),
    st.sampled_from(["", "", "/"]),
)
_PATHS = st.lists(st.lists(st.sampled_from(["a", "b", "ab", "ba"]), min_size=1, max_size=4).map("/".join), max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(top=st.lists(_LINES, max_size=6), below=st.lists(_LINES, max_size=3), paths=_PATHS)
def test_any_ignore_file_means_what_it_means_to_git(
    tmp_path_factory: pytest.TempPathFactory, top: list[str], below: list[str], paths: list[str]
) -> None:
    root = tmp_path_factory.mktemp("tree")
    for path in paths:
        whole = root / path
        if not whole.exists() and all(not parent.is_file() for parent in whole.parents):
            write(root, {path: ""})
    write(root, {".gitignore": "\n".join(top)})
    if (root / "a").is_dir():
        write(root, {"a/.gitignore": "\n".join(below)})
    assert list_files(root).paths == files_by_git(root)


def test_our_own_ignore_file_adds_to_gits_and_can_take_back(tmp_path: Path) -> None:
    write(tmp_path, {"dist/a": "", "secret": "", "b": "", ".gitignore": "dist\n", ".headraceignore": "!dist\nsecret\n"})
    assert list_files(tmp_path).paths == [".gitignore", ".headraceignore", "b", "dist/a"]


def test_what_is_never_part_of_a_project_stays_out_at_any_depth(tmp_path: Path) -> None:
    write(
        tmp_path,
        {".git/config": "", "a/.git": "", "node_modules/x/y": "", "p/node_modules/z": "", ".headrace/project.json": ""},
    )
    write(tmp_path, {"a/b": "", ".gitignore": "!node_modules\n!.git\n"})
    assert list_files(tmp_path).paths == [".gitignore", "a/b"]


def test_an_ignored_directory_is_not_entered(tmp_path: Path) -> None:
    write(tmp_path, {"out/x": "", "a": "", ".gitignore": "/out\n"})
    entered = 0

    def count() -> None:
        nonlocal entered
        entered += 1

    assert list_files(tmp_path, check=count).paths == [".gitignore", "a"]
    assert entered == 1


def test_an_ignore_file_that_is_a_link_or_a_pipe_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, {"a": "", "rules": "a\n", "d/b": ""})
    (tmp_path / ".gitignore").symlink_to("rules")
    os.mkfifo(tmp_path / "d/.gitignore")
    found = list_files(tmp_path)
    assert found.paths == [".gitignore", "a", "d/b", "rules"]
    assert found.odd == ["d/.gitignore"]


def test_links_are_listed_and_not_followed(tmp_path: Path) -> None:
    write(tmp_path, {"d/a": ""})
    (tmp_path / "link").symlink_to("d")
    (tmp_path / "up").symlink_to("..")
    assert list_files(tmp_path).paths == ["d/a", "link", "up"]


def test_too_many_files_end_the_walk(tmp_path: Path) -> None:
    write(tmp_path, {f"f{number}": "" for number in range(11)})
    with pytest.raises(StepFailed, match="more than 10 files"):
        list_files(tmp_path, most_files=10)


def test_an_ignore_file_beyond_all_measure_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_bytes(b"x\n" * (1 << 20))
    with pytest.raises(StepFailed):
        list_files(tmp_path)


@pytest.mark.timeout(10)
def test_a_pattern_made_to_be_slow_is_not() -> None:
    rules = Rules(parse_rules(b"*a" * 60 + b"b\n" + b"/".join([b"**", b"a*a*a*"] * 20) + b"/b\n"))
    assert rules.decide([b"a" * 255] * 60, is_directory=False) is None


def test_names_that_are_no_text_are_matched_byte_by_byte(tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9.log")
    write(tmp_path, {odd: "", "a": "", ".gitignore": "*.log\n"})
    assert list_files(tmp_path).paths == [".gitignore", "a"]
