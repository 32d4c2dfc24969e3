"""
A site whose releases change places again and again while people visit it: each page comes with its own files, and no request
is an error.

A visitor asks for a page and then for the script that it names by its digest, as a browser does. The script has to be that of
the page's release, also when another one has become the site meanwhile.
"""

import hashlib
import http.client
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from endurance.figures import percentile
from endurance.projects import Files
from endurance.rig import Rig

_VISITORS = 4
_RELEASES = 3
_PAUSE_SECONDS = 0.005
_SCRIPT = re.compile(r'src="(/assets/app-[0-9a-f]{8}\.js)"')


@dataclass
class Visits:
    """Of one visitor. `wrong` says what was an error or of another release."""

    seconds: list[float] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Switched:
    seconds: float
    switches: int
    requests: int
    #: Of the releases.
    seen: int
    p99: float
    most: float
    wrong: tuple[str, ...]


def switch(rig: Rig, *, seconds: float, every: float) -> Switched:
    """Put the next of a few releases in place every so many seconds, the earlier ones again and again."""
    releases = [f"release-{rig.random.getrandbits(32):08x}" for _ in range(_RELEASES)]
    first = rig.ask(_site(releases[0]))
    project = rig.server.until_ended(first.id)["project_id"]
    visits, done = [Visits() for _ in range(_VISITORS)], threading.Event()
    visitors = [
        threading.Thread(target=_visit, args=(rig, first.slug, releases, one, done), daemon=True) for one in visits
    ]
    for visitor in visitors:
        visitor.start()
    began, switches = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        switches += 1
        rig.server.upload(project, _site(releases[switches % _RELEASES]))
        row = rig.server.until_ended(rig.server.build(project)["id"])
        assert row["status"] == "succeeded", row["failure"]
        time.sleep(max(0.0, began + switches * every - time.monotonic()))
    took = time.monotonic() - began
    done.set()
    for visitor in visitors:
        visitor.join(30)
    times = [one for visit in visits for one in visit.seconds]
    return Switched(
        seconds=took,
        switches=switches,
        requests=len(times),
        seen=len(set[str]().union(*(visit.seen for visit in visits))),
        p99=percentile(times, 0.99),
        most=max(times),
        wrong=tuple(what for visit in visits for what in visit.wrong),
    )


def _site(release: str) -> Files:
    script = f"document.title = '{release}'"
    name = f"app-{hashlib.sha256(script.encode()).hexdigest()[:8]}.js"
    page = f'<h1>{release}</h1><script src="/assets/{name}"></script>'
    return {"index.html": page, f"assets/{name}": script}


def _visit(rig: Rig, slug: str, releases: Sequence[str], visits: Visits, done: threading.Event) -> None:
    address = urlsplit(rig.server.url)
    host = {"Host": f"{slug}.localhost:{address.port}"}
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)

    def get(path: str) -> str:
        began = time.monotonic()
        connection.request("GET", path, headers=host)
        answer = connection.getresponse()
        text = answer.read().decode()
        visits.seconds.append(time.monotonic() - began)
        if answer.status != 200:
            visits.wrong.append(f"{answer.status} for {path}: {text[:200]}")
        return text

    try:
        while not done.is_set():
            page = get("/")
            release = next((one for one in releases if one in page), "")
            visits.seen.add(release)
            script = _SCRIPT.search(page)
            if not release or script is None:
                visits.wrong.append(f"a page of no release: {page[:200]}")
            elif release not in (text := get(script[1])):
                visits.wrong.append(f"a script beside the page of {release}: {text[:200]}")
            time.sleep(_PAUSE_SECONDS)
    except (OSError, http.client.HTTPException) as exc:
        visits.wrong.append(f"a visitor was sent away: {exc!r}")
    finally:
        connection.close()
