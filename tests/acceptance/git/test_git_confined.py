"""What a git process that a hostile server has taken over could do: looked at from where git runs."""

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.mounts import mounts_with

from headrace.model.version import GitSource
from headrace.settings import Settings
from headrace.source._command import GitCommand
from headrace.source._confine import Confined, confined
from headrace.source._process import run_git
from headrace.source._remote import Remote
from headrace.source._stop import Stop, run_in_thread
from headrace.source.git import GitFetcher

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="git is isolated by root only")

#: Prints what came of each attempt.
PROBE = """
import errno, json, os, socket, sys
proxy, direct, data, mirrors = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
said = {}
def tried(name, act):
    try:
        said[name] = act()
    except OSError as exc:
        said[name] = errno.errorcode.get(exc.errno, str(exc.errno)) if not isinstance(exc, socket.gaierror) else "no name"
def ask(authority):
    with socket.create_connection(("127.0.0.1", int(proxy.rpartition(":")[2])), timeout=10) as s:
        s.sendall(f"CONNECT {authority} HTTP/1.1\\r\\n\\r\\n".encode())
        return s.recv(100).split(b"\\r\\n")[0].decode()
def connect(host, port):
    with socket.create_connection((host, port), timeout=10):
        return "open"
tried("host", lambda: ask(f"git.example:{direct}"))
tried("another host", lambda: ask("example.com:443"))
tried("another port", lambda: ask("git.example:22"))
tried("by address", lambda: ask(f"127.0.0.1:{direct}"))
tried("beside the proxy", lambda: connect("127.0.0.1", direct))
tried("metadata", lambda: connect("169.254.169.254", 80))
tried("names", lambda: socket.getaddrinfo("example.com", 443) and "found")
tried("machine", lambda: open("/etc/probe", "w") and "written")
tried("data", lambda: sorted(os.listdir(data)))
tried("mirror", lambda: open(os.path.join(mirrors, "probe"), "w") and "written")
tried("mount", lambda: os.system("mount -t tmpfs none /mnt 2>/dev/null") and "refused")
tried("processes", lambda: len([name for name in os.listdir("/proc") if name.isdigit()]) < 5)
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
said["rights"] = sorted({status[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb")})
said["no_new_privs"] = status["NoNewPrivs"]
print(json.dumps(said))
"""


async def within(settings: Settings, remote: Remote, argv: Sequence[str], into: Path) -> tuple[Any, Confined]:
    """What a command prints where git would run."""

    def work(stop: Stop) -> tuple[Any, Confined]:
        with confined(settings, (settings.data_dir / "mirrors", into), remote, ["127.0.0.1"]) as place:
            given = [
                place.proxy or "none:0",
                str(remote.port),
                str(settings.data_dir),
                str(settings.data_dir / "mirrors"),
            ]
            said = run_git(GitCommand(argv=[*place.within, *argv, *given], env={"PATH": os.environ["PATH"]}), stop)
            return json.loads(said), place

    return await run_in_thread(work, seconds=60)


async def test_git_reaches_its_host_by_the_proxy_and_nothing_else(
    settings: Settings, git_host: Any, tmp_path: Path
) -> None:
    settings.data_dir.mkdir()
    (settings.data_dir / "token").write_text("secret")
    remote = Remote(url=git_host.url("r", "git.example"), host="git.example", port=git_host.port)
    said, place = await within(settings, remote, [sys.executable, "-c", PROBE], tmp_path / "work")
    assert said == {
        "host": "HTTP/1.1 200 Connection established",
        "another host": "HTTP/1.1 403 Forbidden",
        "another port": "HTTP/1.1 403 Forbidden",
        "by address": "HTTP/1.1 403 Forbidden",
        "beside the proxy": "ECONNREFUSED",
        "metadata": "ENETUNREACH",
        "names": "no name",
        "machine": "EROFS",
        "data": ["mirrors"],
        "mirror": "written",
        "mount": "refused",
        "processes": True,
        "rights": ["0000000000000000"],
        "no_new_privs": "1",
    }
    assert [(use.host, use.connections, use.refused) for use in place.network()] == [
        ("git.example", 1, 0),
        ("example.com", 0, 1),
        ("git.example", 0, 1),
        ("127.0.0.1", 0, 1),
    ]


async def test_nothing_of_it_stays(settings: Settings, git_host: Any, tmp_path: Path) -> None:
    git_host.repository("r").commit({"a": b"1"})
    names = ("net", "mnt", "pid")
    before = [Path(f"/proc/self/ns/{name}").readlink() for name in names], mounts_with(tmp_path)
    for number in range(3):
        await GitFetcher(settings).fetch(GitSource(url=git_host.url("r")), tmp_path / str(number), seconds=60)
    after = [Path(f"/proc/self/ns/{name}").readlink() for name in names], mounts_with(tmp_path)
    assert after == before
    deadline = time.monotonic() + 30
    while left := [thread.name for thread in threading.enumerate() if thread.name in ("git proxy", "source")]:
        assert time.monotonic() < deadline, left
        await asyncio.sleep(0.01)


async def test_what_the_fetch_moved_is_known(settings: Settings, git_host: Any, tmp_path: Path) -> None:
    git_host.repository("r").commit({"a": os.urandom(100_000)})
    fetched = await GitFetcher(settings).fetch(GitSource(url=git_host.url("r")), tmp_path / "out", seconds=60)
    (use,) = fetched.network
    assert (use.host, use.port) == ("localhost", git_host.port)
    assert use.bytes_down > 100_000 > use.bytes_up > 0


async def test_certificates_inside_the_data_directory_are_still_known(
    settings: Settings, git_host: Any, tmp_path: Path
) -> None:
    git_host.repository("r").commit({"a": b"1"})
    settings.data_dir.mkdir()
    ours = settings.data_dir / "authority.pem"
    ours.write_bytes(git_host.certificate.read_bytes())
    own = settings.model_copy(update={"ca_file": ours})
    await GitFetcher(own).fetch(GitSource(url=git_host.url("r")), tmp_path / "out", seconds=60)
    assert (tmp_path / "out" / "a").read_bytes() == b"1"
