"""What is on the network: name servers, git hosts and registries that are silent, slow, broken or wrong."""

import base64
import gzip
import hashlib
import http.server
import io
import json
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.git.git_host import GitHost, hosting, make_certificate
from tests.waiting import wait_until

from endurance.injection import fault
from endurance.rig import Promised, Rig

_REGISTRY = "registry.test"
_NAME_SERVER = "127.0.0.77"
#: What a package of the registry exports, and so what the page of a build with it says.
_TRUE, _WRONG = "the true package", "another package"


@fault("F57", "no name server answers", executors=("oci",), own_rig=True, long=True)
def no_names(rig: Rig) -> None:
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind((_NAME_SERVER, 53))
    # Their own patience would be minutes.
    config = f"nameserver {_NAME_SERVER}\noptions timeout:30 attempts:5\n"
    with silent, _replaced(rig, Path("/etc/resolv.conf"), config), _restarted(rig):
        url = "https://registry.npmjs.org/thing/-/thing-1.0.0.tgz"
        build = rig.ask(_with_package(url))
        build.may_be, build.reasons = ("failed",), ("registry_unavailable",)
        began = time.monotonic()
        rig.server.until_ended(build.id, seconds=150)
        source = {"kind": "git", "url": "https://git.example.org/r"}
        clone = _of_git(rig, source)
        clone.may_be, clone.reasons = ("failed",), ("source_unreachable",)
        row = rig.server.until_ended(clone.id, seconds=30)
        assert "dns_failure" in row["failure"]["message"], row["failure"]
        assert time.monotonic() - began < 150


@fault("F58", "a git host is silent, trickles or ends in the middle", executors=("process",), own_rig=True)
def git_host(rig: Rig) -> None:
    certificate = make_certificate(rig.place)
    with hosting(rig.place / "host", certificate) as host:
        host.repository("r").commit({"index.html": b"<h1>fetched</h1>", "data": rig.random.randbytes(200_000)})
        with _restarted(rig, git_hosts="localhost", ca_file=certificate[0], clone_seconds=5):
            for kind, reason in _HOSTS.items():
                build = _of_git(rig, {"kind": "git", "url": host.url(f"{kind}/r")})
                build.may_be, build.reasons = ("failed",), (reason,)
                rig.server.until_ended(build.id, seconds=30)
                wait_until(lambda: not _half_clones(rig), 10, f"the end of what a host that is {kind} left")
            _fetched_at_last(rig, host)


_HOSTS = {"silent": "source_timeout", "trickle": "source_timeout", "broken": "source_unreachable"}


def _fetched_at_last(rig: Rig, host: GitHost) -> None:
    build = _of_git(rig, {"kind": "git", "url": host.url("r")})
    rig.server.until_ended(build.id, seconds=30)
    assert rig.server.site(build.slug).text == "<h1>fetched</h1>"


def _half_clones(rig: Rig) -> list[str]:
    """Objects that were being received, and files of a build that has ended."""
    mirrors = [path for path in (rig.data_dir / "mirrors").rglob("*") if path.name.startswith(("tmp_", "incoming-"))]
    return [str(path) for path in (*mirrors, *(rig.data_dir / "builds").glob("[!.]*"))]


@fault("F59", "a registry answers 503, with other bytes, or with half of them", executors=("oci",), own_rig=True)
def registry(rig: Rig) -> None:
    with (
        _replaced(rig, Path("/etc/hosts"), f"127.0.0.1 localhost {_REGISTRY}\n"),
        _Registry() as served,
        _restarted(rig, registry_hosts=f"{_REGISTRY}:{served.port}"),
    ):
        files = _with_package(f"http://{_REGISTRY}:{served.port}/thing/-/thing-1.0.0.tgz")
        served.fails, reasons = rig.random.choice(
            (
                (_unavailable, ("registry_unavailable",)),
                (_other_bytes, ("lockfile_out_of_date", "registry_unavailable")),
                (_half, ("registry_unavailable",)),
            )
        )
        served.failures = 1000
        build = rig.ask(files)
        build.may_be, build.reasons = ("failed",), reasons
        rig.server.until_ended(build.id, seconds=120)
        assert served.asked > 0
        # What came before must be nowhere. After a 503 npm asks again by itself; after half of an answer it does not.
        served.failures = 1 if served.fails is _unavailable else 0
        again = rig.ask(files)
        row = rig.server.until_ended(again.id, seconds=120)
        assert row["status"] == "succeeded", row["failure"]
        assert _TRUE in rig.server.site(again.slug).text


class _Registry(http.server.ThreadingHTTPServer):
    """One package with one version, and how its answers fail, so often."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.port = int(self.server_address[1])
        self.fails = _unavailable
        self.failures = self.asked = 0
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> "_Registry":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Answers(http.server.BaseHTTPRequestHandler):
    server: _Registry

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked += 1
        if self.server.failures > 0:
            self.server.failures -= 1
            self.server.fails(self)
        else:
            self.send(_tarball(_TRUE))

    def send(self, body: bytes, *, size: int | None = None, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(size or len(body)))
        self.end_headers()
        self.wfile.write(body)


def _unavailable(answers: _Answers) -> None:
    answers.send(b"try later", status=503)


def _other_bytes(answers: _Answers) -> None:
    answers.send(_tarball(_WRONG))


def _half(answers: _Answers) -> None:
    body = _tarball(_TRUE)
    answers.send(body[: len(body) // 2], size=len(body))
    answers.close_connection = True


def _tarball(says: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        files = {
            "package.json": json.dumps({"name": "thing", "version": "1.0.0"}),
            "index.js": f"module.exports = {json.dumps(says)}",
        }
        for name, text in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return gzip.compress(packed.getvalue(), mtime=0)


def _with_package(url: str) -> Mapping[str, str]:
    integrity = f"sha512-{base64.b64encode(hashlib.sha512(_tarball(_TRUE)).digest()).decode()}"
    package = {
        "name": "p",
        "version": "1.0.0",
        "dependencies": {"thing": "1.0.0"},
        "scripts": {"build": "node build.js"},
    }
    lock = {
        "name": "p",
        "version": "1.0.0",
        "lockfileVersion": 3,
        "requires": True,
        "packages": {
            "": {"name": "p", "version": "1.0.0", "dependencies": {"thing": "1.0.0"}},
            "node_modules/thing": {"version": "1.0.0", "resolved": url, "integrity": integrity},
        },
    }
    return {
        "package.json": json.dumps(package),
        "package-lock.json": json.dumps(lock),
        "build.js": "const fs = require('fs'); fs.mkdirSync('dist'); fs.writeFileSync('dist/index.html', require('thing'))",
        "headrace.toml": '[build]\noutput = "dist"\n',
    }


def _of_git(rig: Rig, source: Mapping[str, str]) -> Promised:
    body = {"name": f"g-{rig.random.getrandbits(32):08x}", "source": source}
    project = rig.server.json("POST", "/workspaces/default/projects", json=body)
    build = Promised(rig.server.build(project["id"])["id"], project["slug"])
    rig.promised.append(build)
    return build


@contextmanager
def _replaced(rig: Rig, path: Path, text: str) -> Iterator[None]:
    """Another text at this path, for us and what is started from now on."""
    instead = rig.place / path.name
    instead.write_text(text)
    subprocess.run(["mount", "--bind", str(instead), str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


@contextmanager
def _restarted(rig: Rig, **settings: object) -> Iterator[None]:
    """A server with other settings, which sees what is mounted by now; and one as before at the end."""
    before = rig.settings
    for rig.settings in ({**before, **settings}, before):
        rig.server.stop()
        rig.server = rig.another_server()
        rig.server.start()
        if rig.settings is not before:
            yield
