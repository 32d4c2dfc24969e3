"""For four seconds, whatever may disturb another build on the machine. What it can't do, it goes on trying. argv: programs to spare."""

import ctypes
import os
import signal
import socket
import sys
import time

PLACES = ("/tmp", "/dev/shm", os.environ["HOME"], os.getcwd(), "/run", "/opt/headrace", "/usr/local/bin", "/etc", "/")
pid, mine = os.getpid(), set()
while pid:
    mine.add(pid)
    pid = int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
PTRACE_ATTACH = 16
SPARED = [name.encode() for name in sys.argv[1:]]
libc = ctypes.CDLL(None, use_errno=True)
print("attacks", flush=True)
end = time.monotonic() + 4
while time.monotonic() < end:
    for pid in [*range(2, 500), *(int(name) for name in os.listdir("/proc") if name.isdigit())]:
        if pid not in mine:
            try:
                if SPARED and open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")[0] in SPARED:
                    continue
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
            libc.ptrace(PTRACE_ATTACH, pid, 0, 0)
    for place in PLACES:
        for top, below, _ in os.walk(place):
            below[:] = below[:20] if top.count("/") < 4 else []
            try:
                open(os.path.join(top, "planted"), "w").write("planted")
            except OSError:
                pass
    for family, address in ((socket.AF_INET, ("127.0.0.1", 7001)), (socket.AF_UNIX, "\0victim")):
        with socket.socket(family) as reach:
            reach.settimeout(0.1)
            try:
                reach.connect(address)
            except OSError:
                pass
    segment = libc.shmget(7001, 4096, 0o1666)
    if segment >= 0:
        libc.shmctl(segment, 0, None)
    time.sleep(0.01)
os.makedirs("dist", exist_ok=True)
open(f"dist/{'attacked' if SPARED else 'index'}.html", "w").write("<h1>attacked</h1>")
