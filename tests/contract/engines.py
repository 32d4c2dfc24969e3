"""Container engines of the tests' own: Debian's Docker and Podman, each with everything that it has in one directory."""

import http.client
import os
import signal
import socket
import subprocess
import tarfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from headrace.executor._daemon_api import DaemonApi, DaemonError

#: The image that sandboxes of tests run in: no registry of images is asked for one.
IMAGE = "headrace-test"
_START_SECONDS = 60
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Engine:
    """`docker` or `podman`, in the empty directory `place`."""

    def __init__(self, kind: str, place: Path) -> None:
        self.kind = kind
        self.socket = str(place / "socket")
        self._place = place
        self._process: subprocess.Popen[bytes] | None = None
        place.mkdir(parents=True)

    def start(self) -> None:
        """It answers when this returns. What it had before it was ended is there again."""
        place = self._place
        argv = _dockerd(place) if self.kind == "docker" else _podman(place)
        with (place / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *argv],  # tests that are killed leave no engine
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={"PATH": _PATH, "CONTAINERS_CONF": str(place / "containers.conf"), "HOME": "/root"},
            )
        end = time.monotonic() + _START_SECONDS
        while True:
            try:
                DaemonApi(self.socket).about()
                return
            except DaemonError as exc:
                if self._process.poll() is not None or time.monotonic() > end:
                    said = (place / "log").read_text(errors="replace")[-2000:]
                    self.stop()
                    raise AssertionError(f"{self.kind} does not start: {exc}\n{said}") from exc
                time.sleep(0.05)

    def kill(self) -> None:
        """It dies as by a crash; asked kindly, it would take a quarter of a minute. What runs in its containers goes on."""
        if self._process:
            for pid in (self._process.pid, *_containerd(self._place)):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        """For good: nothing that it has mounted is left."""
        self.kill()
        mounted = [line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for point in reversed(mounted):
            if point.startswith(f"{self._place}/"):
                subprocess.run(["umount", "-l", point], check=False, capture_output=True)


def _containerd(place: Path) -> list[int]:
    with suppress(OSError):
        return [int((place / "exec/containerd/containerd.pid").read_text())]
    return []


def import_image(path: str, base: Path) -> str:
    """Send the root file system at `base` to the engine as `IMAGE`, as `tar c . | docker import -` would."""
    ours, theirs = os.pipe()

    def pack() -> None:
        with os.fdopen(theirs, "wb") as stream, tarfile.open(fileobj=stream, mode="w|") as archive:
            archive.add(base, arcname=".", filter=_as_root)

    packer = threading.Thread(target=pack)
    packer.start()
    connection = http.client.HTTPConnection("engine", timeout=120)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(path)
    with os.fdopen(ours, "rb") as stream:
        connection.request(
            "POST", f"/v1.41/images/create?fromSrc=-&repo={IMAGE}", stream, {"Content-Type": "application/x-tar"}
        )
        answer = connection.getresponse()
        said = answer.read().decode()
    packer.join()
    connection.close()
    assert answer.status == 200, said
    return said


def _as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    return member


def _dockerd(place: Path) -> list[str]:
    (place / "daemon.json").write_text("{}")
    places = {"data-root": "data", "exec-root": "exec", "pidfile": "pid", "config-file": "daemon.json"}
    return [
        "dockerd",
        f"--host=unix://{place / 'socket'}",
        *(f"--{name}={place / at}" for name, at in places.items()),
        # Sandboxes have no network of an engine, and the machine's rules are not ours to change.
        "--bridge=none",
        "--iptables=false",
        "--ip6tables=false",
        "--ip-forward=false",
    ]


def _podman(place: Path) -> list[str]:
    (place / "containers.conf").write_text('[engine]\nevents_logger = "none"\n')
    return [
        "podman",
        f"--root={place / 'data'}",
        f"--runroot={place / 'run'}",
        "--runtime=runc",  # crun refuses a machine with both versions of control groups
        "--cgroup-manager=cgroupfs",
        "system",
        "service",
        "--time=0",
        f"unix://{place / 'socket'}",
    ]
