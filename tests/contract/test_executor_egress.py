"""What a command reaches by phase, through the real proxy of a real sandbox."""

import asyncio
import errno
import http.server
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.contract.conftest import on

from headrace.layers.layers import Layers
from headrace.layers.toolchain import bin_directories, provide
from headrace.model.limits import NetworkPhase
from headrace.model.plan import Tool
from headrace.model.sandbox import Egress, SandboxMount, SandboxSpec

if TYPE_CHECKING:
    from tests.contract.conftest import Lab

pytestmark = [pytest.mark.sandbox, on("runc", "crun", "docker")]

#: Says each request to the proxy by hand, and prints the status line.
ASK = """
import socket, sys
for request in sys.argv[1:]:
    with socket.create_connection(("127.0.0.1", 3128), timeout=20) as proxy:
        proxy.sendall(request.replace("|", "\\r\\n").encode() + b"\\r\\n\\r\\n")
        answer = b""
        while chunk := proxy.recv(4096):
            answer += chunk
            if b"Connection established" in answer: break
        print(answer.split(b"\\r\\n")[0].decode())
"""


@pytest.fixture
def server() -> Iterator[int]:
    """A web server of this machine; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.path.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield serving.server_port
        serving.shutdown()
        thread.join()


async def ask(lab: "Lab", egress: Egress, *requests: str) -> list[str]:
    sandbox = await lab.open()
    result = await sandbox.run(lab.command(("python3", "-c", ASK, *requests), egress=egress), lab.log)
    assert result.exit_code == 0, lab.text("stderr")
    return lab.text().splitlines()


def denied(lab: "Lab") -> list[tuple[str, int]]:
    return [(event["host"], event["port"]) for event in lab.events() if event["type"] == "egress.denied"]


async def test_a_configured_host_is_reached_wherever_it_is_and_nothing_else(lab: "Lab", server: int) -> None:
    egress = Egress(phase=NetworkPhase.REGISTRIES, hosts=(f"localhost:{server}",))
    said = await ask(
        lab,
        egress,
        f"GET http://localhost:{server}/package HTTP/1.1|Host: localhost",
        f"CONNECT localhost:{server} HTTP/1.1",
        f"CONNECT 127.0.0.1:{server} HTTP/1.1",
        "CONNECT localhost:22 HTTP/1.1",
        "CONNECT example.com:443 HTTP/1.1",
        "GET http://169.254.169.254/latest/meta-data/ HTTP/1.1",
    )
    assert said[0].endswith(" 200 OK")
    assert said[1] == "HTTP/1.1 200 Connection established"
    assert said[2:] == ["HTTP/1.1 403 Forbidden"] * 4
    assert denied(lab) == [("127.0.0.1", server), ("localhost", 22), ("example.com", 443), ("169.254.169.254", 80)]


async def test_the_internet_is_names_at_public_addresses(lab: "Lab", server: int) -> None:
    addresses = (
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "192.168.1.1",
        "100.100.100.200",
        "168.63.129.16",
        "1.1.1.1",
    )
    six = ("[::1]", "[fd00:ec2::254]", "[::ffff:127.0.0.1]", "[64:ff9b::a00:1]", "[fe80::1]")
    said = await ask(
        lab,
        Egress(phase=NetworkPhase.INTERNET),
        *(f"CONNECT {address}:443 HTTP/1.1" for address in (*addresses, *six)),
        # Names of this machine, and numbers that only some parsers take for an address.
        "CONNECT localhost:80 HTTP/1.1",
        "CONNECT 0x7f000001:80 HTTP/1.1",
        "CONNECT 2130706433:443 HTTP/1.1",
        *(f"CONNECT registry.npmjs.org:{port} HTTP/1.1" for port in (22, 25, 53, 587, 853)),
    )
    assert set(said) == {"HTTP/1.1 403 Forbidden"}
    assert len(denied(lab)) == len(said)


#: Tries every way out beside the proxy, and prints what came of each and how long all of it took.
ESCAPE = """
import errno, socket, sys, time
began = time.monotonic()
def tried(kind, family, address, data=b"x"):
    with socket.socket(family, kind) as s:
        s.settimeout(5)
        try:
            s.connect(address)
            s.send(data)
            s.recv(1)
            return "open"
        except OSError as exc:
            return errno.errorcode.get(exc.errno, "timeout")
TCP, UDP, V4, V6 = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.AF_INET, socket.AF_INET6
said = set()
for host in ("1.1.1.1", "8.8.8.8", "169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16",
             "10.0.0.1", "172.17.0.1", "192.168.0.1", "100.64.0.1", "224.0.0.1", *sys.argv[2:]):
    for kind, port in ((TCP, 443), (TCP, 53), (UDP, 53), (TCP, 853), (UDP, 443), (TCP, 22), (TCP, 25), (TCP, int(sys.argv[1]))):
        said.add(tried(kind, V4, (host, port)))
for host in ("2606:4700:4700::1111", "fd00:ec2::254", "fe80::1", "::ffff:1.1.1.1", "64:ff9b::101:101"):
    for kind, port in ((TCP, 443), (UDP, 53)):
        said.add(tried(kind, V6, (host, port, 0, 1 if host.startswith("fe80") else 0)))
# Loopback is the sandbox's own: what the machine serves there is not here.
for family, host in ((V4, "127.0.0.1"), (V4, "127.0.0.53"), (V6, "::1")):
    said.add(tried(TCP, family, (host, int(sys.argv[1]))))
    said.add(tried(UDP, family, (host, 53)))
try:
    socket.getaddrinfo("example.com", 443)
    said.add("resolved")
except OSError:
    pass
print(",".join(sorted(said)), socket.if_nameindex() == [(1, "lo")], time.monotonic() - began < 30)
"""


@pytest.mark.parametrize("phase", list(NetworkPhase))
async def test_there_is_no_way_out_but_the_proxy(lab: "Lab", server: int, phase: NetworkPhase) -> None:
    neighbours = [str(entry[4][0]) for entry in socket.getaddrinfo(socket.gethostname(), None, family=socket.AF_INET)]
    sandbox = await lab.open()
    command = lab.command(("python3", "-c", ESCAPE, str(server), *neighbours), egress=Egress(phase=phase))
    result = await sandbox.run(command, lab.log)
    assert result.exit_code == 0, lab.text("stderr")
    ends, loopback_alone, at_once = lab.text().split()
    # The last is what a loopback without IPv6 says.
    assert set(ends.split(",")) <= {"ECONNREFUSED", "ENETUNREACH", "EADDRNOTAVAIL"}
    assert (loopback_alone, at_once) == ("True", "True")


async def test_two_sandboxes_do_not_meet(lab: "Lab") -> None:
    serving = "import socket; s = socket.socket(socket.AF_UNIX); s.bind('\\0headrace-meet'); s.listen(); t = socket.create_server(('0.0.0.0', 8000)); print('up', flush=True); s.accept()"
    meeting = "import socket; s = socket.socket(socket.AF_UNIX); print(s.connect_ex('\\0headrace-meet'), socket.socket().connect_ex(('127.0.0.1', 8000)))"
    first, second = await lab.open(name="sbx_1"), await lab.open(name="sbx_2")
    running = asyncio.create_task(first.run(lab.command(("python3", "-c", serving)), lab.log))
    await first.running()
    async with asyncio.timeout(20):
        await lab.until_printed("up")
    log = lab.log.with_name("second.ndjson")
    assert (await second.run(lab.command(("python3", "-c", meeting)), log)).exit_code == 0
    assert f"{errno.ECONNREFUSED} {errno.ECONNREFUSED}" in log.read_text()
    await first.close()
    await running


async def test_what_a_command_reached_is_in_its_result(lab: "Lab", server: int) -> None:
    egress = Egress(phase=NetworkPhase.REGISTRIES, hosts=(f"localhost:{server}",))
    sandbox = await lab.open()
    requests = [f"GET http://localhost:{server}/package HTTP/1.1"] * 3 + ["CONNECT evil.example:443 HTTP/1.1"]
    result = await sandbox.run(lab.command(("python3", "-c", ASK, *requests), egress=egress), lab.log)
    reached, refused = result.network
    assert (reached.host, reached.port, reached.connections, reached.refused) == ("localhost", server, 3, 0)
    assert reached.bytes_up > 100
    assert reached.bytes_down > 100
    assert reached.first_at <= reached.last_at
    assert (refused.host, refused.connections, refused.refused) == ("evil.example", 0, 1)


async def test_what_was_counted_survives_proxy_and_supervisor(lab: "Lab", server: int) -> None:
    egress = Egress(phase=NetworkPhase.REGISTRIES, hosts=(f"localhost:{server}",))
    sandbox = await lab.open()
    asking = ("python3", "-c", ASK + "import time; print('asked', flush=True); time.sleep(60)")
    command = lab.command((*asking, f"GET http://localhost:{server}/package HTTP/1.1"), egress=egress)
    running = asyncio.create_task(sandbox.run(command, lab.log))
    async with asyncio.timeout(30):
        await lab.until_printed("asked")
    (lock,) = lab.sandboxes.glob("sbx_1/commands/0/lock")
    os.kill(int(lock.read_text().split()[0]), signal.SIGKILL)
    result = await running
    assert result.killed_by == "lost"
    assert [(use.host, use.connections) for use in result.network] == [("localhost", 1)]


async def test_a_refusal_names_the_package_whose_script_it_was(lab: "Lab") -> None:
    egress = Egress(phase=NetworkPhase.REGISTRIES)
    ask = ("python3", "-c", ASK, "CONNECT evil.example:443 HTTP/1.1")
    sandbox = await lab.open()
    env = {"npm_package_name": "@evil/grabber", "npm_package_version": "1.2.3"}
    await sandbox.run(lab.command(ask, egress=egress, env=env), lab.log)
    script = 'mkdir -p node_modules/.pnpm/x@1.0.0/node_modules/taker && cd node_modules/.pnpm/x@1.0.0/node_modules/taker && exec "$@"'
    await sandbox.run(lab.command(("sh", "-c", script, "sh", *ask), egress=egress), lab.log)
    await sandbox.run(lab.command(ask, egress=egress, env={"npm_package_name": 'no\nname "}'}), lab.log)
    packages = [event.get("package") for event in lab.events() if event["type"] == "egress.denied"]
    assert packages == ["@evil/grabber@1.2.3", "taker", None]


async def test_a_command_is_cut_at_its_cap(lab: "Lab", server: int) -> None:
    egress = Egress(phase=NetworkPhase.REGISTRIES, hosts=(f"localhost:{server}",), bytes=1000)
    sandbox = await lab.open()
    requests = [f"GET http://localhost:{server}/{'x' * 300} HTTP/1.1"] * 4
    asking = ASK.replace("answer.split", "(answer or b'nothing').split")
    await sandbox.run(lab.command(("python3", "-c", asking, *requests), egress=egress), lab.log)
    assert lab.text().split("\n")[-2] == "nothing"
    (limit,) = [event for event in lab.events() if event["type"] == "egress.limit"]
    assert (limit["limit"], limit["most"], limit["host"]) == ("bytes", 1000, "localhost")


async def test_what_is_no_request_to_a_proxy_is_refused(lab: "Lab") -> None:
    said = await ask(
        lab,
        Egress(phase=NetworkPhase.INTERNET),
        "GET / HTTP/1.1|Host: example.com",
        "GET https://example.com/ HTTP/1.1",
        "CONNECT user@example.com:443 HTTP/1.1",
        "nonsense",
    )
    assert said == ["HTTP/1.1 400 Bad Request"] * 4


async def test_without_a_phase_there_is_no_proxy(lab: "Lab") -> None:
    sandbox = await lab.open()
    said = await lab.says(
        sandbox,
        "env | grep -ic proxy; python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 3128))' 2>&1",
    )
    assert said.startswith("0\n")
    assert "ConnectionRefusedError" in said


async def test_the_proxy_ends_with_its_command(lab: "Lab") -> None:
    sandbox = await lab.open()
    egress = Egress(phase=NetworkPhase.INTERNET)
    assert (await sandbox.run(lab.shell("true", egress=egress), lab.log)).exit_code == 0
    (lock,) = lab.sandboxes.glob("sbx_1/commands/0/lock")
    session = int(lock.read_text().split()[0])
    async with asyncio.timeout(30):
        while _in_session(session):
            await asyncio.sleep(0.01)


@pytest.mark.network
async def test_npm_installs_through_the_proxy_and_the_result_is_a_layer(lab: "Lab", base_system: Path) -> None:
    tools = (Tool(name="node", version="24.21.0"), Tool(name="npm", version="11.21.2"))
    shared = Layers(base_system.parent / "tools")
    registry = lab.settings.npm_registry
    mounts = []
    for tool in tools:
        provided = await provide(shared, tool, registry)
        mounts.append(SandboxMount(source=provided.path, target=f"/opt/headrace/{tool.name}-{tool.version}"))
    package = {"name": "x", "version": "1.0.0", "dependencies": {"is-number": "7.0.0"}}
    layer = lab.layer("inputs", **{"package.json": json.dumps(package)})
    sandbox = await lab.executor.open(
        SandboxSpec(id="sbx_1", build_id="build_1", layers=(layer,), mounts=tuple(mounts))
    )
    path = ":".join([*(directory for tool in tools for directory in bin_directories(tool)), "/usr/bin", "/bin"])
    egress = Egress(phase=NetworkPhase.REGISTRIES, hosts=lab.settings.registry_hosts)
    env = {"PATH": path, "npm_config_registry": registry}
    result = await sandbox.run(
        lab.command(("npm", "install", "--no-audit", "--no-fund"), env=env, egress=egress), lab.log
    )
    assert result.exit_code == 0, lab.text("stderr")
    assert denied(lab) == []
    assert sandbox.take("node_modules", lab.place / "node_modules")
    assert (lab.place / "node_modules/is-number/index.js").is_file()
    assert (lab.place / "node_modules").stat().st_uid == os.geteuid()

    refused = lab.command(
        ("npm", "view", "is-number", "--registry=https://example.com", "--fetch-retries=0"), env=env, egress=egress
    )
    assert (await sandbox.run(refused, lab.log)).exit_code != 0
    assert ("example.com", 443) in denied(lab)


def _in_session(session: int) -> list[str]:
    """Living processes of a supervisor's session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, sid = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(sid) == session and state != "Z":
            found.append(path.parent.name)
    return found
