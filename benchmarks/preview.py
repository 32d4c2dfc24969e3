"""
Numbers 1, 2, 4, 5 and 6 of Fast Preview: an edit on its way to the page, beside the same edit on the bare machine.

    python benchmarks/preview.py [--rounds 50]

The limits are Vite's own watch build and development server, run by the same Node in a plain directory with the same
files, and edited in turn with Headrace's project. Times of Headrace begin with the sync request's first byte.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
from _server import EXAMPLES, files_of, new_project, process_of, server, sync

EXAMPLE = EXAMPLES / "react-vite"
PAGE = "src/App.tsx"
TEXT = (EXAMPLE / PAGE).read_text()
BUILT = re.compile(rb"built in [\d.]+m?s")


def edited(mark: str) -> str:
    return TEXT.replace("Get started", f"Get started {mark}")


BROKEN = TEXT.replace("<h1>Get started</h1>", "<h1>Get started<h1>")


def bare_directory(where: Path, data_dir: Path) -> tuple[Path, dict[str, str]]:
    directory = where / "bare"
    shutil.copytree(EXAMPLE, directory)
    tools = sorted((data_dir / "tools").glob("*/tree/bin"))
    environment = {**os.environ, "PATH": ":".join([*map(str, tools), os.environ["PATH"]])}
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=directory, env=environment, check=True, stdout=2)
    return directory, environment


class Bare:
    """A Vite of its own, whose output is read as it comes."""

    def __init__(self, directory: Path, process: asyncio.subprocess.Process) -> None:
        self.directory = directory
        self.process = process

    async def until(self, *words: bytes | re.Pattern[bytes]) -> None:
        assert self.process.stdout
        heard = b""
        while True:
            piece = await asyncio.wait_for(self.process.stdout.read(65536), 60)
            assert piece, heard
            heard += piece
            if any(w.search(heard) if isinstance(w, re.Pattern) else w in heard for w in words):
                return

    async def silence(self) -> None:
        """Until nothing was printed for a while: one edit may be built twice, and the second must not answer for the next."""
        assert self.process.stdout
        while True:
            try:
                assert await asyncio.wait_for(self.process.stdout.read(65536), 0.4)
            except TimeoutError:
                return

    async def edit(self, text: str, *words: bytes | re.Pattern[bytes]) -> float:
        await self.silence()
        began = time.perf_counter()
        (self.directory / PAGE).write_text(text)
        await self.until(*words)
        return time.perf_counter() - began


@asynccontextmanager
async def bare(directory: Path, environment: dict[str, str], *arguments: str) -> AsyncIterator[Bare]:
    process = await asyncio.create_subprocess_exec(
        "node",
        "node_modules/vite/bin/vite.js",
        *arguments,
        cwd=directory,
        env={**environment, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield Bare(directory, process)
    finally:
        process.terminate()
        await process.wait()


class Ours:
    """A project of a server, edited over one kept connection as an agent would."""

    def __init__(self, client: httpx2.Client, project: str) -> None:
        self.client = client
        self.project = project
        self.site = httpx2.Client(timeout=60, follow_redirects=True)
        self.url: str = client.get(f"/projects/{project}/preview").json()["url"]
        port = self.url.rstrip("/").rpartition(":")[2]
        self.address = f"http://127.0.0.1:{port}"
        self.host = self.url.split("/")[2]

    def get(self, path: str) -> httpx2.Response:
        return self.site.get(self.address + path, headers={"Host": self.host, "Accept": "text/html"})

    def served(self) -> str:
        """The page's own script as visitors get it."""
        page = self.get("/").text
        found = re.search(r'src="(/assets/[^"]+\.js)"', page)
        assert found, page
        return self.get(found[1]).text

    async def edit(self, text: str) -> tuple[float, dict[str, Any]]:
        """Seconds from the request to the answer, and the answer."""
        began = time.perf_counter()
        body = await asyncio.to_thread(sync, self.client, self.project, [{"path": PAGE, "content": text}])
        return time.perf_counter() - began, body


def private_bytes(pids: Sequence[int]) -> int:
    """Memory that these processes alone hold, in bytes."""
    total = 0
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(
            int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith(("Private_Dirty", "Swap:"))
        )
    return total


def below(pid: int) -> list[int]:
    """A process and everything that it has started."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


async def builds(ours: Ours, directory: Path, environment: dict[str, str], rounds: int) -> dict[str, Any]:
    """Numbers 1 and 4: good and bad edits in mode build."""
    limit, served, bare_bad, bad, recovered = [], [], [], [], []
    async with bare(directory, environment, "build", "--watch") as vite:
        await vite.until(BUILT)
        await asyncio.sleep(1)
        for number in range(rounds):
            limit.append(await vite.edit(edited(f"bare {number}"), BUILT))
            await vite.silence()
            took, body = await ours.edit(edited(f"ours {number}"))
            assert body["status"] == "ready", body
            served.append(took)
            assert f"ours {number}" in ours.served(), "the bytes that are served are not the new ones"
            await asyncio.sleep(0.1)
        for number in range(max(3, rounds // 5)):
            bare_bad.append(await vite.edit(BROKEN + f"// {number}", b"rror"))
            await vite.edit(edited(f"mended {number}"), BUILT)
            await vite.silence()
            last_good = ours.served()
            took, body = await ours.edit(BROKEN + f"// {number}")
            assert body["status"] == "error", body
            first = body["diagnostics"][0]
            assert first["file"] == PAGE, first
            assert first["line"] > 0, first
            assert first["column"] is not None, first
            bad.append(took)
            assert ours.served() == last_good, "the last good page is gone"
            took, body = await ours.edit(edited(f"mended {number}"))
            assert body["status"] == "ready", body
            recovered.append(took)
        memory = private_bytes(below(vite.process.pid))
    return {
        "bare_watch_ms": ms(limit),
        "sync_to_served_ms": ms(served),
        "added_median_ms": added(served, limit, 50),
        "added_p95_ms": added(served, limit, 95),
        "bare_failing_ms": ms(bare_bad),
        "sync_to_diagnostics_ms": ms(bad),
        "added_failing_ms": added(bad, bare_bad, 50),
        "recovered_ms": ms(recovered),
        "bare_memory_mib": round(memory / 2**20, 1),
    }


async def hot_updates(
    client: httpx2.Client, ours: Ours, directory: Path, environment: dict[str, str], rounds: int
) -> dict[str, Any]:
    """Number 2: from an edit to the update message at the browser's socket."""
    client.patch(f"/projects/{ours.project}", json={"settings": {"preview": {"mode": "dev"}}}).raise_for_status()
    await ours.edit(edited("dev"))
    limit, updates = [], []
    async with (
        bare(directory, environment, "--port", "5199", "--strictPort", "--host", "127.0.0.1") as vite,
        aiohttp.ClientSession() as session,
    ):
        await vite.until(b"ready in")
        theirs = await _open_page(session, "http://127.0.0.1:5199", "127.0.0.1:5199")
        mine = await _open_page(session, ours.address, ours.host)
        for number in range(rounds):
            began = time.perf_counter()
            (directory / PAGE).write_text(edited(f"bare dev {number}"))
            limit.append(await _until_update(theirs) - began)
            await asyncio.sleep(0.1)
            began = time.perf_counter()
            sending = asyncio.create_task(ours.edit(edited(f"our dev {number}")))
            updates.append(await _until_update(mine) - began)
            _, body = await sending
            assert body["status"] == "ready", body
            await asyncio.sleep(0.1)
        memory = private_bytes(below(vite.process.pid))
        await theirs.close()
        await mine.close()
    return {
        "bare_hmr_ms": ms(limit),
        "sync_to_hmr_ms": ms(updates),
        "added_hmr_ms": added(updates, limit, 50),
        "bare_dev_memory_mib": round(memory / 2**20, 1),
    }


async def _load_page(session: aiohttp.ClientSession, address: str, host: str) -> None:
    """The page and its modules, as a browser asks for them."""
    headers = {"Host": host, "Accept": "text/html"}
    await (await session.get(address + "/", headers=headers)).read()
    for path in ("/src/main.tsx", "/src/App.tsx", "/src/App.css", "/src/index.css"):
        await (await session.get(address + path, headers={"Host": host, "Accept": "*/*"})).read()


async def _open_page(session: aiohttp.ClientSession, address: str, host: str) -> aiohttp.ClientWebSocketResponse:
    """The page, and then Vite's socket."""
    await _load_page(session, address, host)
    client = await (await session.get(address + "/@vite/client", headers={"Host": host})).text()
    token = re.search(r'wsToken = "([^"]+)"', client)
    assert token, client[:2000]
    origin = {"Host": host, "Origin": f"http://{host}"}
    return await session.ws_connect(f"{address}/?token={token[1]}", protocols=["vite-hmr"], headers=origin)


async def _until_update(page: aiohttp.ClientWebSocketResponse) -> float:
    while True:
        message = await asyncio.wait_for(page.receive(), 30)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        if json.loads(message.data)["type"] in ("update", "full-reload"):
            return time.perf_counter()


async def waking(client: httpx2.Client, ours: Ours, directory: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Number 5: from sleep to a page, and what a sleeping one costs."""
    rows: dict[str, Any] = {}
    for mode, arguments in (("build", ["build", "--watch"]), ("dev", ["--port", "5198", "--host", "127.0.0.1"])):
        client.patch(f"/projects/{ours.project}", json={"settings": {"preview": {"mode": mode}}}).raise_for_status()
        limit, wake = [], []
        for number in range(5):
            began = time.perf_counter()
            async with bare(directory, environment, *arguments) as vite:
                await vite.until(BUILT, b"ready in")
                if mode == "dev":
                    async with aiohttp.ClientSession() as session:
                        await _load_page(session, "http://127.0.0.1:5198", "127.0.0.1:5198")
                limit.append(time.perf_counter() - began)
            client.post(f"/projects/{ours.project}/preview/stop").raise_for_status()
            took, body = await ours.edit(edited(f"woken {mode} {number}"))
            assert body["status"] == "ready", body
            wake.append(took)
        state = client.get(f"/projects/{ours.project}/preview").json()
        rows |= {
            f"bare_start_{mode}_ms": ms(limit),
            f"wake_{mode}_ms": ms(wake),
            f"added_wake_{mode}_ms": added(wake, limit, 50),
            f"memory_{mode}_mib": round(state["memory_bytes"] / 2**20, 1),
        }
    return rows


def ms(times: Sequence[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {"median": round(statistics.median(ordered) * 1000, 1), "p95": round(_at(ordered, 95) * 1000, 1)}


def added(times: Sequence[float], limit: Sequence[float], percent: int) -> float:
    return round((_at(sorted(times), percent) - _at(sorted(limit), percent)) * 1000, 1)


def _at(ordered: Sequence[float], percent: int) -> float:
    return ordered[min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))]


async def measure(place: Path, rounds: int) -> dict[str, Any]:
    data_dir = place / "data"
    rows: dict[str, Any] = {}
    with server(data_dir) as client:
        project = new_project(client, "react-vite")
        began = time.perf_counter()
        assert sync(client, project, files_of(EXAMPLE))["status"] == "ready"
        rows["first_ever_ms"] = round((time.perf_counter() - began) * 1000)
        another = new_project(client, "react-vite-2")
        began = time.perf_counter()
        assert sync(client, another, files_of(EXAMPLE))["status"] == "ready"
        rows["first_of_a_project_ms"] = round((time.perf_counter() - began) * 1000)
        client.delete(f"/projects/{another}?force=true").raise_for_status()
        ours = Ours(client, project)
        directory, environment = bare_directory(place, data_dir)
        rows |= await builds(ours, directory, environment, rounds)
        rows |= await hot_updates(client, ours, directory, environment, rounds)
        rows |= await waking(client, ours, directory, environment)
        rows["server_rss_mib"] = round(_rss(process_of(client)) / 2**20, 1)
    with server(data_dir) as client:
        ours = Ours(client, project)
        took, body = await ours.edit(edited("after a restart"))
        assert body["status"] == "ready", body
        rows["wake_after_restart_ms"] = round(took * 1000, 1)
    return rows


def _rss(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=50)
    rounds = arguments.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as place:
        rows = asyncio.run(measure(Path(place), rounds))
    for name, value in rows.items():
        print(f"{name:28} {value}")
    print(json.dumps({"benchmark": "preview", **rows}))


if __name__ == "__main__":
    main()
