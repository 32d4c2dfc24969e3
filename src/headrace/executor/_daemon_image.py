"""
The image that sandboxes of Docker and Podman run in: the operator's, with what a sandbox needs added once.

Added are empty places for mounts and a first process: a copy of the image's own shell that nobody may read, so that the
kernel keeps its memory and descriptors from the others. Files that would raise rights lose that.
"""

import hashlib
from typing import Any, NamedTuple

from headrace.errors import EngineLost, ExecutorUnavailable, NotFetched
from headrace.executor import _spec
from headrace.executor._daemon_api import DaemonApi, DaemonError
from headrace.executor._daemon_plan import OWNER_LABEL, ulimits

_REPOSITORY = "headrace-sandbox"
_MUSL, _PYTHON = "headrace.musl", "headrace.python"
_PULL_SECONDS = 1800.0
#: As root in a container of the image, without a network. What it prints are labels.
_PREPARE = f"""
set -e
mkdir -p /app {_spec.HOME} {_spec.TOOLS} /tmp /run/headrace {_spec.INIT.rpartition("/")[0]} {_spec.CA_BUNDLE.rpartition("/")[0]}
chmod 1777 /tmp
cat "$(command -v sh)" > {_spec.INIT}.new
chmod 0111 {_spec.INIT}.new
mv {_spec.INIT}.new {_spec.INIT}
for file in {_spec.CA_BUNDLE} /etc/passwd /etc/group /etc/hosts; do [ -e "$file" ] || : > "$file"; done
command -v env > /dev/null
find / -xdev -type f -perm /6000 -exec chmod a-s {{}} +
set -- /lib/ld-musl-*
[ ! -e "$1" ] || echo {_MUSL}=yes
python=$(command -v python3) || exit 0
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' && echo {_PYTHON}=$python || :
"""
_CONFIG: dict[str, Any] = {"Env": [], "Entrypoint": [], "Cmd": [], "Volumes": {}, "ExposedPorts": {}, "OnBuild": []}


class Image(NamedTuple):
    """An image that is ready for sandboxes."""

    id: str
    #: Of the operator's image.
    name: str
    digest: str
    #: Our tool chains, which need glibc, don't run in it.
    musl: bool
    #: Where it has a Python that the probe of controls runs with; empty for none.
    python: str


def image_digest(daemon: DaemonApi, name: str) -> str | None:
    """What cache keys say of the operator's image; None when the daemon hasn't got it. Raises DaemonError."""
    found = daemon.image(name)
    return None if found is None else str(found["Id"])


def provide_image(daemon: DaemonApi, name: str, *, offline: bool) -> Image:
    """Pulled when it isn't there, unless `offline`, and made ready for sandboxes once. Raises ExecutorUnavailable, NotFetched."""
    try:
        digest = image_digest(daemon, name)
        if digest is None and offline:
            raise NotFetched(f"the image {name}")
        digest = digest or _pull(daemon, name)
        tag = hashlib.sha256(f"{digest} {_PREPARE} {_CONFIG}".encode()).hexdigest()[:20]
        found = daemon.image(f"{_REPOSITORY}:{tag}")
        if found is None:
            _make(daemon, digest, tag, name)
            found = daemon.image(f"{_REPOSITORY}:{tag}")
        if found is None:
            raise DaemonError("it has just been made, and isn't there")
        labels = found["Config"].get("Labels") or {}
        return Image(str(found["Id"]), name, digest, labels.get(_MUSL) == "yes", labels.get(_PYTHON, ""))
    except DaemonError as exc:
        kind = EngineLost if exc.status is None else ExecutorUnavailable
        raise kind(f"the image {name} can't be made ready for sandboxes: {exc}") from exc


def _pull(daemon: DaemonApi, name: str) -> str:
    try:
        daemon.pull(name, _PULL_SECONDS)
        why = "it is not there after a pull that said nothing"
    except DaemonError as exc:
        why = str(exc)
    if digest := image_digest(daemon, name):
        return digest
    raise ExecutorUnavailable(
        f"the container engine has no image {name}, and can't pull it: {why}",
        hint=f"make `docker pull {name}` work, load one (`docker load`, `docker import`), or set HEADRACE_DOCKER_IMAGE to one that is there",
    )


def _make(daemon: DaemonApi, digest: str, tag: str, name: str) -> None:
    container = f"{_REPOSITORY}-{tag}"
    daemon.remove(container)
    try:
        made = daemon.create(
            container,
            {
                "Image": digest,
                "User": "0:0",
                "Tty": True,  # then what it prints comes as it is
                "Entrypoint": ["/bin/sh"],
                "Cmd": ["-c", _PREPARE],
                "Labels": {OWNER_LABEL: "image"},
                "HostConfig": {
                    "NetworkMode": "none",
                    "LogConfig": {"Type": "json-file", "Config": {}},
                    "Ulimits": ulimits({"NOFILE": 1024}),
                },
            },
        )
        daemon.start(made)
        code, said = daemon.wait(made), daemon.printed(made)
        if code:
            raise ExecutorUnavailable(
                f"no sandbox can run in the image {name}: {said.strip()[-300:] or f'its shell ended with {code}'}",
                hint="the image needs a shell, env, find and cat: set HEADRACE_DOCKER_IMAGE to one that has them",
            )
        labels = dict(line.split("=", 1) for line in said.split() if line.startswith((_MUSL, _PYTHON)))
        daemon.commit(made, _REPOSITORY, tag, {**_CONFIG, "Labels": labels})
    finally:
        daemon.remove(container)
