import base64

import pytest

from headrace.model.diagnostic import FailureReason
from headrace.source._remote import Credential
from headrace.source._said import failure_of, looks_damaged, was_refused, without_secret

SECRET = Credential(user="ann", token="s3cret/+=")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("fatal: could not read Username for 'https://h': terminal prompts disabled", "source_auth_failed"),
        ("fatal: Authentication failed for 'https://h/r/'", "source_auth_failed"),
        ("fatal: unable to access 'https://h/r/': The requested URL returned error: 403", "source_auth_failed"),
        ("fatal: unable to access 'https://h/r/': The requested URL returned error: 302", "source_forbidden"),
        ("fatal: repository 'https://h/r/' not found", "source_not_found"),
        ("fatal: https://h/r/info/refs not valid: is this a git repository?", "source_not_found"),
        ("fatal: remote error: upload-pack: not our ref abab", "source_not_found"),
        ("fatal: couldn't find remote ref refs/heads/x", "source_not_found"),
        ("error: object ab: gitmodulesUrl: disallowed submodule url: -u", "source_forbidden"),
        (
            f"error: object {'a' * 40}: hasDotgit: contains '.git'\nfatal: fsck error in packed object",
            "source_forbidden",
        ),
        ("fatal: Out of memory, malloc failed (tried to allocate 9 bytes)", "source_too_large"),
        ("fatal: unable to access 'https://h/': Operation too slow. Less than 100 bytes/sec", "source_timeout"),
        (
            "fatal: unable to access 'https://h/': server certificate verification failed. CAfile: none",
            "source_unreachable",
        ),
        ("fatal: unable to access 'https://h/': Could not resolve host: h", "source_unreachable"),
        ("fatal: unable to access 'https://h/': GnuTLS recv error (-110): terminated", "source_unreachable"),
        ("fatal: unable to access 'https://h/': The requested URL returned error: 503", "source_unreachable"),
        ("fatal: fetch-pack: invalid index-pack output", "source_unreachable"),
        ("fatal: something nobody has seen before", "source_unreachable"),
        ("", "source_unreachable"),
    ],
)
def test_what_git_says_has_a_reason_and_a_hint(text: str, reason: str) -> None:
    failure = failure_of(text, None).failure
    assert failure.reason is FailureReason(reason)
    assert failure.hint


def test_a_secret_that_a_server_sends_back_is_not_shown() -> None:
    pair = base64.b64encode(b"ann:s3cret/+=").decode()
    said = f"remote: you sent {pair}, that is s3cret/+= or s3cret%2F%2B%3D\nfatal: what is s3cret/+=?"
    assert "s3cret" not in without_secret(said, SECRET)
    assert pair not in without_secret(said, SECRET)
    assert "s3cret" not in failure_of(said, SECRET).failure.message


def test_a_token_that_stands_in_the_place_of_a_name_is_not_shown() -> None:
    assert without_secret("fatal: ghp_123 is wrong", Credential(user="ghp_123", token="")) == "fatal: *** is wrong"


def test_a_servers_control_characters_are_not_shown() -> None:
    message = failure_of("fatal: \x1b[2J\x1b]0;title\x07 odd", None).failure.message
    assert message.isprintable()


def test_a_server_that_gives_branches_only_is_known() -> None:
    assert was_refused("error: Server does not allow request for unadvertised object ab")
    assert not was_refused("fatal: not our ref ab")


def test_damage_of_our_own_is_told_from_that_of_others() -> None:
    assert looks_damaged("error: refs/fetched/ab does not point to a valid object!\nfatal: bad object refs/fetched/ab")
    assert not looks_damaged("fatal: repository 'https://h/r' not found")
