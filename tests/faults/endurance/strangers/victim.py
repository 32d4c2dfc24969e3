"""Works for two seconds at something that others could disturb, and writes down in its page what it notices of them."""

import ctypes
import os
import socket
import subprocess
import time

PLACES = ("/tmp", "/dev/shm", os.environ["HOME"], os.getcwd())
before = {place: set(os.listdir(place)) - {"planted"} for place in PLACES}
for place in PLACES:
    for number in range(20):
        open(f"{place}/mine-{number}", "w").write(f"{place} {number}" * 100)
tcp = socket.create_server(("127.0.0.1", 7001))
unix = socket.socket(socket.AF_UNIX)
unix.bind("\0victim")
unix.listen()
child = subprocess.Popen(["sleep", "1000"])
libc = ctypes.CDLL(None)
segment = libc.shmget(7001, 4096, 0o1666)
for server in (tcp, unix):
    server.setblocking(False)
print("works", flush=True)
noticed, end = set(), time.monotonic() + 2
while time.monotonic() < end:
    for server in (tcp, unix):
        try:
            server.accept()
            noticed.add("a connection")
        except BlockingIOError:
            pass
    for place in PLACES:
        for name in set(os.listdir(place)) - before[place]:
            if not name.startswith("mine-"):
                noticed.add(f"{place}/{name}")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if b"attack.py" in open(f"/proc/{pid}/cmdline", "rb").read():
                noticed.add("a process")
        except OSError:
            pass
    if child.poll() is not None:
        noticed.add("its child's end")
    if libc.shmget(7001, 4096, 0o600) != segment:
        noticed.add("its memory's end")
    time.sleep(0.01)
child.kill()
for place in PLACES:
    for number in range(20):
        if open(f"{place}/mine-{number}").read() != f"{place} {number}" * 100:
            noticed.add(f"{place}/mine-{number}")
os.makedirs("dist", exist_ok=True)
open("dist/index.html", "w").write(f"noticed {sorted(noticed)}")
