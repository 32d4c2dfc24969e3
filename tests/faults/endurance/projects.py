"""Small projects that are built in a moment, and whose output shows whether anything of it is missing."""

import json
from collections.abc import Mapping

Files = Mapping[str, str]

#: For a script that only prints.
PAGE = "mkdir -p dist; echo '<h1>printed</h1>' > dist/index.html"

_LOCK = {"name": "p", "version": "1.0.0", "lockfileVersion": 3, "requires": True}

#: Prints numbered lines, each with a running checksum, and then writes a page. argv: word, lines, lines per tick, ms per tick.
_COUNT = """
const [word, lines, each, pause] = [process.argv[2], ...process.argv.slice(3).map(Number)];
let n = 0, sum = 0;
function tick() {
  let text = '';
  for (let i = 0; i < each && n < lines; i++) {
    sum = (Math.imul(sum, 31) + n) >>> 0;
    text += word + ' ' + n++ + ' ' + sum + '\\n';
  }
  process.stdout.write(text, () => n < lines ? setTimeout(tick, pause) : done());
}
function done() {
  const fs = require('fs');
  fs.mkdirSync('dist', {recursive: true});
  fs.writeFileSync('dist/index.html', '<h1>RELEASE</h1>');
}
tick();
"""


def static(release: str) -> Files:
    """Nothing runs: the files are the site. Each page says which release it is of."""
    return {"index.html": f"<h1>{release}</h1>", "more.html": f"<h2>{release}</h2>"}


def counting(release: str, *, lines: int = 20, each: int = 1, pause: int = 20, install: bool = False) -> Files:
    """A build, and if wanted an install, that counts aloud."""
    scripts = {"build": f"node count.js build {lines} {each} {pause}"}
    lock = dict(_LOCK)
    if install:
        scripts["postinstall"] = f"node count.js dependencies {lines} {each} {pause}"
        lock["packages"] = {"": {"name": "p", "version": "1.0.0", "hasInstallScript": True}}
    return _package(scripts, release, {"package-lock.json": json.dumps(lock)} if install else {})


def running(release: str, script: str) -> Files:
    """`build.sh`, run by a shell. It has to write the page itself, or to call `node count.js`."""
    return _package({"build": "sh build.sh"}, release, {"build.sh": script})


def _package(scripts: Mapping[str, str], release: str, more: Files) -> Files:
    package = {"name": "p", "version": "1.0.0", "scripts": scripts}
    return {
        "package.json": json.dumps(package),
        "count.js": _COUNT.replace("RELEASE", release),
        "headrace.toml": '[build]\noutput = "dist"\n',
        **more,
    }


def sums(lines: int) -> list[int]:
    """The checksums of a count."""
    made, total = [], 0
    for number in range(lines):
        total = (total * 31 + number) & 0xFFFFFFFF
        made.append(total)
    return made
