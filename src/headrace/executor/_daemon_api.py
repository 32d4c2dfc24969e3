"""
The Engine API of Docker and Podman over a Unix socket: the dozen calls that sandboxes need.

Standard library only: supervisors use it, and then no client library is needed beside it.
"""

import hashlib
import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

#: What Debian 12's Docker and Podman speak. Newer ones still do, or say what they speak at least.
_VERSION = "1.41"
_SECONDS = 60.0


class DaemonError(Exception):
    """The daemon's answer is an error, or there is none: then `status` is None."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class About(NamedTuple):
    """What a daemon says of itself."""

    #: `docker` or `podman`.
    kind: str
    version: str
    #: The version of the API to speak with it.
    api: str


class DaemonApi:
    """One daemon. A connection for each call: a container has a handful of calls in its life."""

    def __init__(self, path: str, api: str = _VERSION) -> None:
        self.path = path
        self.api = api

    def about(self) -> About:
        found = self._call("GET", "/version", versioned=False)
        components = [str(part.get("Name", "")).lower() for part in found.get("Components") or ()]
        kind = "podman" if any("podman" in name for name in components) else "docker"
        least = str(found.get("MinAPIVersion", _VERSION)) if kind == "docker" else _VERSION
        return About(kind, str(found.get("Version", "")), max(_VERSION, least, key=_numbers))

    def information(self) -> dict[str, Any]:
        found: dict[str, Any] = self._call("GET", "/info")
        return found

    def image(self, name: str) -> dict[str, Any] | None:
        """None when the daemon hasn't got it."""
        return self._find(f"/images/{quote(name, safe=':/@')}/json")

    def images_digest(self, repository: str) -> str | None:
        """Of all images of this repository that the daemon has; None when it has none."""
        asked = {"filters": json.dumps({"reference": [repository]})}
        found = self._call("GET", f"/images/json?{urlencode(asked)}")
        names = sorted(f"{tag} {image['Id']}" for image in found for tag in image.get("RepoTags") or ())
        return hashlib.sha256("\n".join(names).encode()).hexdigest() if names else None

    def pull(self, name: str, seconds: float) -> None:
        """Raises DaemonError with the registry's message."""
        path = f"/images/create?{urlencode({'fromImage': with_tag(name)})}"
        with self._asked("POST", path, None, seconds) as response:
            for line in response:
                if line.strip() and (error := json.loads(line).get("error")):
                    raise DaemonError(str(error), 404)

    def create(self, name: str, config: Mapping[str, Any]) -> str:
        """The new container's id."""
        return str(self._call("POST", f"/containers/create?{urlencode({'name': name})}", config)["Id"])

    def start(self, container: str) -> None:
        self._call("POST", f"/containers/{container}/start")

    def state(self, container: str) -> dict[str, Any] | None:
        """`Pid`, `ExitCode`, `OOMKilled` and more of a container; None when there is none."""
        found = self._find(f"/containers/{container}/json")
        return None if found is None else found["State"]

    def wait(self, container: str) -> int:
        """The exit code of the container's first process, once it has ended."""
        return int(self._call("POST", f"/containers/{container}/wait")["StatusCode"])

    def printed(self, container: str) -> str:
        """What a container with a terminal printed."""
        with self._asked("GET", f"/containers/{container}/logs?stdout=1&stderr=1", None, _SECONDS) as response:
            return response.read().decode(errors="replace")

    def commit(self, container: str, repository: str, tag: str, config: Mapping[str, Any]) -> None:
        """Make an image of what there is in the container, with `config` alone."""
        asked = {"container": container, "repo": repository, "tag": tag, "pause": "false"}
        self._call("POST", f"/commit?{urlencode(asked)}", config)

    def remove(self, container: str) -> None:
        """With everything that runs in it. Nothing happens when there is none."""
        try:
            self._call("DELETE", f"/containers/{container}?force=1&v=1")
        except DaemonError as exc:
            if exc.status not in (404, 409):  # 409: somebody removes it right now
                raise

    def labelled(self, label: str) -> list[dict[str, Any]]:
        """All containers with the label `name=value`, also those that have ended."""
        asked = {"all": "1", "filters": json.dumps({"label": [label]})}
        found: list[dict[str, Any]] = self._call("GET", f"/containers/json?{urlencode(asked)}")
        return found

    def _find(self, path: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._call("GET", path)
        except DaemonError as exc:
            if exc.status == 404:
                return None
            raise
        return found

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, versioned: bool = True) -> Any:
        with self._asked(method, path, body, _SECONDS, versioned=versioned) as response:
            data = response.read()
        return json.loads(data) if data.strip() else {}

    @contextmanager
    def _asked(
        self, method: str, path: str, body: Mapping[str, Any] | None, seconds: float, *, versioned: bool = True
    ) -> Iterator[http.client.HTTPResponse]:
        connection = _Connection(self.path, seconds)
        text = None if body is None else json.dumps(body)
        try:
            connection.request(
                method, f"/v{self.api}{path}" if versioned else path, text, {"Content-Type": "application/json"}
            )
            response = connection.getresponse()
            if response.status >= 400:
                raise DaemonError(_message(response.read()), response.status)
            yield response
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise DaemonError(f"no answer at {self.path}: {exc}") from exc
        finally:
            connection.close()


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("daemon", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def with_tag(image: str) -> str:
    """Without a tag, engines pull all that there are."""
    return image if ":" in image.rpartition("/")[2] or "@" in image else f"{image}:latest"


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"]).strip()
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
