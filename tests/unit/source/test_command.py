from pathlib import Path

from headrace.source._command import Bounds, git_command
from headrace.source._remote import Credential

BOUNDS = Bounds(memory_bytes=1 << 30, file_bytes=1 << 20)


def settings_of(argv: list[str]) -> list[str]:
    return [argv[at + 1] for at, part in enumerate(argv) if part == "-c"]


def test_a_secret_is_in_no_argument() -> None:
    command = git_command(["ls-remote"], bounds=BOUNDS, protocol="https", credential=Credential("ann", "s3cret"))
    assert not any("s3cret" in part or "ann" in part for part in command.argv)
    assert command.env["HEADRACE_GIT_TOKEN"] == "s3cret"


def test_a_command_that_stays_here_reaches_nothing_and_knows_nothing() -> None:
    command = git_command(["cat-file", "-t", "x"], bounds=BOUNDS, repository=Path("/m"))
    assert command.env["GIT_ALLOW_PROTOCOL"] == "none"
    assert "HEADRACE_GIT_TOKEN" not in command.env
    assert "--git-dir=/m" in command.argv


def test_the_environment_is_our_own() -> None:
    names = set(git_command(["fetch"], bounds=BOUNDS, protocol="https", ca_file=Path("/ca")).env)
    assert names == {
        *("PATH", "HOME", "LC_ALL", "GIT_ALLOW_PROTOCOL", "GIT_TERMINAL_PROMPT", "GIT_ASKPASS", "SSH_ASKPASS"),
        *("GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL", "GIT_ATTR_NOSYSTEM", "GIT_LFS_SKIP_SMUDGE", "GIT_OPTIONAL_LOCKS"),
        *("GIT_NO_REPLACE_OBJECTS", "GIT_NO_LAZY_FETCH", "GIT_SSL_CAINFO"),
    }


def test_what_could_run_something_is_off() -> None:
    said = settings_of(list(git_command(["fetch"], bounds=BOUNDS).argv))
    for setting in (
        *(
            "core.hooksPath=/dev/null",
            "core.fsmonitor=false",
            "safe.bareRepository=explicit",
            "protocol.ext.allow=never",
        ),
        *(
            "http.followRedirects=false",
            "transfer.bundleURI=false",
            "transfer.fsckObjects=true",
            "submodule.recurse=false",
        ),
    ):
        assert setting in said
    # Helpers of the machine's owner are not asked; only an own one comes after the empty line that drops them.
    assert [setting for setting in said if setting.startswith("credential.helper")] == ["credential.helper="]
