import pytest

from headrace.errors import StepFailed
from headrace.model.diagnostic import FailureReason
from headrace.source._commit import author_and_message
from headrace.source._refs import Wanted, choose, parse_advertised

A, B, C, D = ("a" * 40, "b" * 40, "c" * 40, "d" * 40)
OUTPUT = "".join(
    f"{value}\t{name}\n"
    for value, name in [
        ("ref: refs/heads/main", "HEAD"),
        (A, "HEAD"),
        (A, "refs/heads/main"),
        (B, "refs/heads/feature/x"),
        (B, "refs/heads/v1"),
        (D, "refs/pull/1/head"),
        (C, "refs/tags/v1"),
        (A, "refs/tags/v1^{}"),
        (D, "refs/tags/light"),
    ]
)
ADVERTISED = parse_advertised(OUTPUT.encode())


@pytest.mark.parametrize(
    ("ref", "commit", "wanted"),
    [
        (None, None, Wanted(commit=A, branch="main", is_tip=True)),
        ("main", None, Wanted(commit=A, branch="main", is_tip=True)),
        ("feature/x", None, Wanted(commit=B, branch="feature/x", is_tip=True)),
        ("v1", None, Wanted(commit=B, branch="v1", is_tip=True)),
        ("refs/tags/v1", None, Wanted(commit=A, branch=None, is_tip=True)),
        ("light", None, Wanted(commit=D, branch=None, is_tip=True)),
        (None, B, Wanted(commit=B, branch=None, is_tip=True)),
        ("main", B, Wanted(commit=B, branch="main", is_tip=True)),
        (None, "e" * 40, Wanted(commit="e" * 40, branch=None, is_tip=False)),
    ],
)
def test_a_source_means_one_commit(ref: str | None, commit: str | None, wanted: Wanted) -> None:
    assert choose(ADVERTISED, ref, commit) == wanted


def test_what_strangers_proposed_is_no_part_of_the_repository() -> None:
    pulls = parse_advertised(f"{A}\trefs/heads/main\n{D}\trefs/pull/1/head\n".encode())
    assert not choose(pulls, None, D).is_tip


def test_a_missing_name_is_answered_with_one_that_is_near() -> None:
    with pytest.raises(StepFailed) as caught:
        choose(ADVERTISED, "mian", None)
    assert caught.value.failure.reason is FailureReason.SOURCE_NOT_FOUND
    assert "main" in (caught.value.failure.hint or "")


@pytest.mark.parametrize("output", ["", f"{A}\tHEAD\n", f"{A}\trefs/pull/1/head\n", "rubbish\n\n\t\n"])
def test_a_repository_without_branches_and_tags_is_empty(output: str) -> None:
    with pytest.raises(StepFailed) as caught:
        choose(parse_advertised(output.encode()), None, None)
    assert caught.value.failure.reason is FailureReason.SOURCE_EMPTY


@pytest.mark.parametrize(
    ("raw", "name", "message"),
    [
        (b"tree x\nauthor Ann Ex <a@b> 1 +0000\n\nhello\n\nbody\n", "Ann Ex", "hello\n\nbody"),
        (b"tree x\nencoding ISO-8859-1\nauthor J\xf6rg <a@b> 1 +0000\n\n\xfcber\n", "J\u00f6rg", "\u00fcber"),
        (b"tree x\nencoding no-such\nauthor A <a@b> 1 +0000\n\n\xff\n", "A", "\ufffd"),
        (b"tree x\nauthor  <> 1 +0000\ngpgsig x\n author Evil <e@f>\n\n", "unknown", ""),
        (b"rubbish", "unknown", ""),
        (b"author A\0B <a@b> 1 +0\n\nx\0y", "A\ufffdB", "x\ufffdy"),
    ],
)
def test_a_commit_says_who_and_why(raw: bytes, name: str, message: str) -> None:
    assert author_and_message(raw) == (name, message)


def test_a_message_without_end_is_cut() -> None:
    assert len(author_and_message(b"author A <a> 1 +0\n\n" + b"x" * 100_000)[1]) == 4000
