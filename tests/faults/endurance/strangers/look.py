"""Looks for what an earlier build has left."""

import ctypes
import os
import socket

found = []
for top, below, files in os.walk("/"):
    if top == "/":
        below[:] = [name for name in below if name not in ("proc", "sys")]
    found += [os.path.join(top, name) for name in files if name.startswith("planted")]
for pid in filter(str.isdigit, os.listdir("/proc")):
    said = open(f"/proc/{pid}/cmdline", "rb").read()
    if b"planted" in said or b"sleep" in said:
        found.append(f"process {said!r}")
with socket.socket(socket.AF_UNIX) as unix:
    try:
        unix.connect("\0planted")
        found.append("a listener")
    except OSError:
        pass
if ctypes.CDLL(None).shmget(7002, 4096, 0) >= 0:
    found.append("shared memory")
os.makedirs("dist", exist_ok=True)
open("dist/index.html", "w").write(f"found {sorted(found)}")
