"""
Number 3 of Fast Preview: from an edit to the painted pixel in a real browser, in both modes, beside `vite dev`.

    python benchmarks/preview_browser.py [--rounds 20]

The limit is the same page of the bare machine's own `vite dev`, edited in turn in the same browser. Time begins when the
file is written, or with the sync request's first byte, and ends in the second animation frame after the text appeared.
"""

import argparse
import asyncio
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from _server import files_of, new_project, server, sync
from playwright.async_api import Page, async_playwright
from preview import EXAMPLE, PAGE, Ours, added, bare, bare_directory, edited, ms

#: Tells each new text of the heading with the time of day at which it was painted, in milliseconds.
WATCHER = """
(() => {
  let last = null;
  const look = () => {
    const text = document.querySelector('h1')?.textContent ?? null;
    if (text !== last && text !== null) {
      last = text;
      requestAnimationFrame(() => requestAnimationFrame(() => {
        window.painted(text, performance.timeOrigin + performance.now());
      }));
    }
  };
  new MutationObserver(look).observe(document, { childList: true, subtree: true, characterData: true });
  look();
})();
"""


class Watched:
    """A page whose heading is watched."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._painted: dict[str, asyncio.Future[float]] = {}

    async def open(self, url: str) -> None:
        await self.page.expose_function("painted", self._heard)
        await self.page.add_init_script(WATCHER)
        await self.page.goto(url)
        await self.page.wait_for_selector("h1")

    async def until(self, mark: str) -> float:
        """The time of day at which the heading with this mark was painted."""
        return await asyncio.wait_for(self._wanted(f"Get started {mark}"), 60)

    def _heard(self, text: str, at: float) -> None:
        wanted = self._wanted(text)
        if not wanted.done():
            wanted.set_result(at / 1000)

    def _wanted(self, text: str) -> "asyncio.Future[float]":
        return self._painted.setdefault(text, asyncio.get_running_loop().create_future())


async def measure(place: Path, rounds: int) -> dict[str, Any]:
    data_dir = place / "data"
    rows: dict[str, Any] = {}
    with server(data_dir) as client:
        project = new_project(client, "react-vite")
        assert sync(client, project, files_of(EXAMPLE))["status"] == "ready"
        directory, environment = bare_directory(place, data_dir)
        async with async_playwright() as browsers, bare(directory, environment, "--port", "5197") as vite:
            await vite.until(b"ready in")
            browser = await browsers.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            for mode in ("build", "dev"):
                wish = {"settings": {"preview": {"mode": mode}}}
                client.patch(f"/projects/{project}", json=wish).raise_for_status()
                assert sync(client, project, [{"path": PAGE, "content": edited(f"start {mode}")}])["status"] == "ready"
                ours = Ours(client, project)
                mine, theirs = Watched(await browser.new_page()), Watched(await browser.new_page())
                await mine.open(ours.url)
                await theirs.open("http://localhost:5197/")
                limit, times = [], []
                for number in range(rounds):
                    mark = f"{mode} bare {number}"
                    began = time.time()
                    (directory / PAGE).write_text(edited(mark))
                    limit.append(await theirs.until(mark) - began)
                    await asyncio.sleep(0.2)
                    mark = f"{mode} ours {number}"
                    began = time.time()
                    sending = asyncio.create_task(ours.edit(edited(mark)))
                    times.append(await mine.until(mark) - began)
                    await sending
                    await asyncio.sleep(0.2)
                rows |= {
                    f"vite_dev_beside_{mode}_ms": ms(limit),
                    f"{mode}_ms": ms(times),
                    f"added_{mode}_ms": added(times, limit, 50),
                }
                await mine.page.close()
                await theirs.page.close()
            await browser.close()
    return rows


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=20)
    rounds = arguments.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as place:
        rows = asyncio.run(measure(Path(place), rounds))
    for name, value in rows.items():
        print(f"{name:28} {value}")
    print(json.dumps({"benchmark": "preview_browser", **rows}))


if __name__ == "__main__":
    main()
