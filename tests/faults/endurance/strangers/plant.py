"""Leaves a file in every directory that it may write to, a daemon, a listener and shared memory."""

import ctypes
import os
import socket
import subprocess

left = 0
for top, below, _ in os.walk("/"):
    if top == "/":
        below[:] = [name for name in below if name not in ("proc", "sys")]
    try:
        open(os.path.join(top, "planted-for-the-next"), "w").write("planted")
        left += 1
    except OSError:
        pass
subprocess.Popen(["setsid", "sleep", "1000"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        unix = socket.socket(socket.AF_UNIX)
        unix.bind("\0planted")
        unix.listen()
        unix.set_inheritable(True)
        os.execvp("python3", ["planted-python", "-c", "import time; time.sleep(1000)"])
    os._exit(0)
ctypes.CDLL(None).shmget(7002, 4096, 0o1666)
os.makedirs("dist", exist_ok=True)
open("dist/index.html", "w").write(f"left {left}")
