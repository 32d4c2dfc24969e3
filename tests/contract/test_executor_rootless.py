"""
The executor suites as an ordinary user. A test of root's runs pytest again as an account that `scripts/setup` makes, which has
ids in /etc/subuid and nothing else.
"""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

import pytest

from headrace.executor._cgroup import cgroup_mounts

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(
        os.geteuid() != 0, reason="root runs these as an ordinary user; who is one runs the suites themselves"
    ),
]

USER = "headrace-test"
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def provisions() -> Iterator[Path]:
    """Where that user keeps the base system and tools, made by that user; shared like those of root."""
    account = pwd.getpwnam(USER)
    kept = os.environ.get("TEST_PROVISIONS")
    place = Path(f"{kept}-{USER}" if kept else mkdtemp(prefix="headrace-provisions-"))
    place.mkdir(exist_ok=True)
    os.chown(place, account.pw_uid, account.pw_gid)
    yield place
    if not kept:
        shutil.rmtree(place)


@contextmanager
def delegated_groups() -> Iterator[list[Path]]:
    """Control groups of both versions that belong to that user, as a service manager gives them."""
    account = pwd.getpwnam(USER)
    made = []
    for mount in cgroup_mounts():
        if "cpuset" in mount.controllers:
            continue  # a new group there has no processors until somebody gives it some
        group = Path(mount.path, f"headrace-test-{os.getpid()}")
        with suppress(OSError):
            group.mkdir()
            made.append(group)
            for path in (group, *group.iterdir()):
                os.chown(path, account.pw_uid, account.pw_gid)
    try:
        yield made
    finally:
        for group in made:
            for folder, _, _ in os.walk(group, topdown=False):
                with suppress(OSError):
                    Path(folder).rmdir()


def run_suites(place: Path, *arguments: str, hide: str | None = None, groups: bool = False) -> None:
    """Run pytest with these arguments as that user. Every test must pass, and none be left out."""
    account = pwd.getpwnam(USER)
    work = Path(mkdtemp(prefix="headrace-rootless-"))
    os.chown(work, account.pw_uid, account.pw_gid)
    pytest_argv = [sys.executable, "-m", "pytest", "-q", "--no-skips", "-p", "no:cacheprovider", *arguments]
    argv = [sys.executable, str(HERE / "as_user.py"), *(["--hide", hide] if hide else []), USER, *pytest_argv]
    env = {name: os.environ[name] for name in ("PATH", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS") if name in os.environ}
    env |= {"TEST_PROVISIONS": str(place), "PYTEST_DEBUG_TEMPROOT": str(work), "PYTHONDONTWRITEBYTECODE": "1"}
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, work, ignore_errors=True)
        joined = stack.enter_context(delegated_groups()) if groups else []

        def join() -> None:
            for group in joined:
                (group / "cgroup.procs").write_text("0")

        done = subprocess.run(
            argv,
            env=env,
            cwd=HERE.parents[1],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            preexec_fn=join,
        )
    assert done.returncode == 0, done.stdout[-20_000:]


def test_the_contract_holds_for_an_ordinary_user(provisions: Path) -> None:
    run_suites(provisions, *suites("", "_live", "_isolation"), "-k", "crun")


def test_hostile_commands_and_floods_of_an_ordinary_user_are_held(provisions: Path) -> None:
    which = "crun and (planted or watchers or bomb or eats or endless or killed or supervisor or million or proxy)"
    run_suites(provisions, *suites("_live_attacks", "_processes"), "-k", which)


def test_runc_does_the_same_for_an_ordinary_user(provisions: Path) -> None:
    which = "runc and (taken or successor_reaches or killing_ends or namespaces or exactly or sandboxes_have or memory_ends)"
    run_suites(provisions, *suites("", "_live", "_isolation"), "-k", which)


def test_every_control_is_there_or_named_as_weaker_for_an_ordinary_user(provisions: Path) -> None:
    run_suites(provisions, *suites("_controls"), "-k", "crun and control_holds")


def test_the_proxy_is_the_same_for_an_ordinary_user(provisions: Path) -> None:
    run_suites(provisions, *suites("_egress"), "-k", "crun and not npm")


def test_a_user_without_given_ids_has_sandboxes_too(provisions: Path) -> None:
    which = "crun and (namespaces or strangers or changes_no_layer or taken or written_before or left_on)"
    run_suites(provisions, *suites("", "_live", "_isolation"), "-k", which, hide="/etc/subuid")


def test_groups_that_the_user_was_given_keep_the_limits(provisions: Path) -> None:
    which = "crun and (memory or fork_bomb or processors_are or left_on or background or killed_supervisor)"
    run_suites(provisions, *suites("", "_live", "_isolation", "_processes"), "-k", which, groups=True)


def suites(*names: str) -> list[str]:
    return [f"tests/contract/test_executor{name}.py" for name in names]
