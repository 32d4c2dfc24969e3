"""A git host of its own: `git http-backend` behind TLS, with a certificate that nothing else trusts."""

import base64
import http.server
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

USER, TOKEN = "ann", "tok-4f1c-Secret+/="


class Repository:
    """A bare repository of the host, and how a test fills it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(path))
        # What GitHub and GitLab do: any commit by its name, also without its files.
        for setting in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
            self.git("config", setting, "true")

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        env = {
            "PATH": os.environ["PATH"],
            "GIT_DIR": str(self.path),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "HOME": "/nonexistent",
        }
        for who in ("AUTHOR", "COMMITTER"):
            env |= {
                f"GIT_{who}_NAME": "Ann Ex",
                f"GIT_{who}_EMAIL": "ann@example.org",
                f"GIT_{who}_DATE": "1700000000 +0000",
            }
        done = subprocess.run(["git", *arguments], env=env, input=stdin, stdout=subprocess.PIPE, check=True)
        return done.stdout.decode().strip()

    def blob(self, data: bytes) -> str:
        return self.git("hash-object", "-w", "--stdin", stdin=data)

    def tree(self, entries: dict[bytes, tuple[str, str]]) -> str:
        """A tree of name -> (mode, object), without the checks that git makes for people."""
        lines = b"".join(
            mode.lstrip("0").encode() + b" " + name + b"\0" + bytes.fromhex(value)
            for name, (mode, value) in entries.items()
        )
        return self.git("hash-object", "-w", "-t", "tree", "--literally", "--stdin", stdin=lines)

    def commit_tree(
        self, tree: str, message: str = "a change", branch: str = "main", parents: tuple[str, ...] = ()
    ) -> str:
        commit = self.git("commit-tree", tree, "-m", message, *(part for parent in parents for part in ("-p", parent)))
        self.git("update-ref", f"refs/heads/{branch}", commit)
        return commit

    def commit(self, files: dict[str, bytes], message: str = "a change", branch: str = "main") -> str:
        """A commit of these files, at the top of the branch."""
        who = b"Ann Ex <ann@example.org> 1700000000 +0000"
        ref = f"refs/heads/{branch}".encode()
        lines = [b"commit " + ref, b"author " + who, b"committer " + who, _data(message.encode())]
        if (self.path / ref.decode()).exists():
            lines.append(b"from " + ref + b"^0")
        lines.append(b"deleteall")
        for name, content in files.items():
            lines += [b"M 100644 inline " + name.encode(), _data(content)]
        self.git("fast-import", "--quiet", stdin=b"\n".join([*lines, b""]))
        return self.git("rev-parse", ref.decode())


def _data(content: bytes) -> bytes:
    return b"data %d\n%b" % (len(content), content)


class GitHost:
    """
    Serves the repositories below `root`. `/private/…` asks for a credential, `/moved/…` sends elsewhere, `/silent/…` never answers,
    `/trickle/…` answers a byte at a time, `/broken/…` ends in the middle, `/old/…` speaks the first protocol only.
    """

    def __init__(self, root: Path, port: int, certificate: Path) -> None:
        self.root, self.port, self.certificate = root, port, certificate
        self.moved_to = ""
        self.closing = threading.Event()
        #: Path and Authorization of each request.
        self.requests: list[tuple[str, str | None]] = []

    def url(self, name: str, host: str = "localhost") -> str:
        return f"https://{host}:{self.port}/{name}"

    def repository(self, name: str) -> Repository:
        return Repository(self.root / name.rpartition("/")[2])


class _Server(http.server.ThreadingHTTPServer):
    host: GitHost
    tls: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        # The handshake belongs to the connection's own thread.
        try:
            wrapped = self.tls.wrap_socket(request, server_side=True)
        except OSError:
            return
        with wrapped:
            try:
                super().finish_request(wrapped, client_address)
                wrapped.unwrap()
            except OSError:
                return


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        host = self.server.host
        host.requests.append((self.path, self.headers["Authorization"]))
        kind = self.path.split("/")[1]
        if kind == "silent":
            host.closing.wait(60)
        elif kind == "moved":
            self.send_response(302)
            self.send_header("Content-Length", "0")
            self.send_header("Location", host.moved_to)
            self.end_headers()
        elif kind == "private" and self.headers["Authorization"] != _basic():
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._backend(kind)

    do_POST = do_GET

    def _backend(self, kind: str) -> None:
        path, _, query = self.path.partition("?")
        size = int(self.headers["Content-Length"] or 0)
        env = {
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_PROJECT_ROOT": str(self.server.host.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": "/" + path.split("/", 2)[2] if kind in {"private", "trickle", "broken", "old"} else path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers["Content-Type"] or "",
            "HTTP_CONTENT_ENCODING": self.headers["Content-Encoding"] or "",
            "GIT_PROTOCOL": "" if kind == "old" else self.headers["Git-Protocol"] or "",
        }
        asked = self.rfile.read(size)
        done = subprocess.run(["git", "http-backend"], env=env, input=asked, capture_output=True, check=False)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
        self.send_response(int(headers.pop("Status", "200 OK").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        if kind == "broken" and self.command == "POST":
            body = body[: len(body) * 99 // 100 - 1]
        self.end_headers()
        if kind == "trickle" and self.command == "POST":
            for position in range(len(body)):
                self.wfile.write(body[position : position + 1])
                if self.server.host.closing.wait(1):
                    return
        else:
            self.wfile.write(body)


def _basic() -> str:
    return "Basic " + base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()


def make_certificate(place: Path) -> tuple[Path, Path]:
    """A certificate for this machine and for hosts that exist in no name server, and its key. Needs openssl."""
    names = "subjectAltName=DNS:localhost,DNS:git.example,DNS:other.example,IP:127.0.0.1"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=test host", "-addext", names),
            *("-keyout", str(place / "key.pem"), "-out", str(place / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    return place / "cert.pem", place / "key.pem"


@contextmanager
def hosting(root: Path, certificate: tuple[Path, Path]) -> Iterator[GitHost]:
    """A host of repositories below `root`, which is made."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.tls.load_cert_chain(*certificate)
    root.mkdir()
    server.host = GitHost(root, server.server_address[1], certificate[0])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.host
    finally:
        server.host.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()
