"""One tiny project, installed for real by every package manager."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

if TYPE_CHECKING:
    from tests.server import Server

pytestmark = pytest.mark.sandbox

LOCKS = Path(__file__).parent / "locks"
#: What the registry has of is-odd: version -> SHA-512, as lock files write it.
PUBLISHED = {
    "3.0.1": "sha512-CQpnWPrDwmP1+SMHXZhtLtJv90yiyVfluGsX5iNCVkrhQtU3TQHsUWPG9wkdk9Lgd5yNpAg9jQEo90CBaXgWMA==",
    "3.0.0": "sha512-204vE5IJ0Cd6pA6x1dMyLooGk6/xeKuq90imFuJN/ndMDBP4Sk9tJpBlTedHPvt6KDbtTDTsjVzzgctFqNV7FQ==",
}

#: Writes a page that says what is installed: every file with its bytes, but for when it was installed.
BUILD = """
const fs = require('fs'), path = require('path'), hash = require('crypto').createHash('sha256');
const user = require('os').userInfo();
const skipped = /\\.(modules\\.yaml|pnpm-workspace-state.*)$/;
for (const name of fs.existsSync('node_modules') ? fs.readdirSync('node_modules', {recursive: true}).sort() : []) {
  const file = path.join('node_modules', name), about = fs.lstatSync(file);
  if (skipped.test(name)) continue;
  hash.update(JSON.stringify([name, about.mode, about.isSymbolicLink() ? fs.readlinkSync(file) : '']));
  if (about.isFile()) hash.update(fs.readFileSync(file));
}
fs.mkdirSync('dist');
fs.writeFileSync('dist/index.html', `${require('is-odd')(3)} ${user.username} ${user.homedir} ${hash.digest('hex')}`);
"""


def project(lock: str, version: str = "3.0.1", **more: Any) -> dict[str, str]:
    """The project with this lock file, changed to hold another version of its dependency."""
    name = "yarn.lock" if lock.startswith("yarn") else lock
    text = (LOCKS / lock).read_text().replace(PUBLISHED["3.0.1"], PUBLISHED[version]).replace("3.0.1", version)
    manifest = {
        "name": "tiny",
        "private": True,
        "scripts": {"build": "node build.js"},
        "dependencies": {"is-odd": version},
    }
    return {"package.json": json.dumps({**manifest, **more}), "build.js": BUILD, name: text}


def installed(server: "Server", files: dict[str, str], name: str) -> dict[str, Any]:
    made = server.project(name)
    server.upload(made["id"], files)
    build = server.until_ended(server.build(made["id"])["id"], seconds=300)
    assert build["status"] == "succeeded", build["failure"]
    return build


@pytest.mark.parametrize("lock", ["package-lock.json", "pnpm-lock.yaml", "yarn-1.lock", "yarn-4.lock", "bun.lock"])
def test_every_package_manager_installs_what_its_lock_file_says(server: "Server", lock: str) -> None:
    installed(server, project(lock), "tiny")
    port = httpx2.URL(server.url).port
    page = httpx2.get(f"{server.url}/", headers={"Host": f"tiny.localhost:{port}"})
    assert page.text.startswith("true builder /home/builder ")


@pytest.mark.parametrize("lock", ["package-lock.json", "pnpm-lock.yaml"])
def test_an_install_that_begins_with_the_closest_dependencies_ends_as_a_clean_one(server: "Server", lock: str) -> None:
    first = installed(server, project(lock, "3.0.0"), "tiny")
    server.upload(first["project_id"], project(lock))
    near = server.build(first["project_id"], wait=True)
    decisions = server.http.get(f"/builds/{near['id']}/cache").json()["items"]
    decision = next(one for one in decisions if one["cache"] == "dependencies")
    assert decision["begun_with"]
    assert f"made by {first['id']}" in decision["explanation"]
    clean = server.build(first["project_id"], wait=True, force=True, no_cache=True)
    assert near["artifact"] == clean["artifact"] != first["artifact"]


def test_a_lock_file_that_does_not_fit_says_so_also_over_earlier_dependencies(server: "Server") -> None:
    first = installed(server, project("package-lock.json"), "tiny")
    server.upload(first["project_id"], project("package-lock.json", dependencies={"is-odd": "3.0.0"}))
    build = server.build(first["project_id"], wait=True)
    assert build["failure"]["reason"] == "lockfile_out_of_date"
    assert build["failure"]["command"][:2] == ["npm", "ci"]


#: Writes a page that says what an app and the package it uses can reach, and what lies anywhere.
REACH = """
const fs = require('fs'), path = require('path');
const version = (from, name) => {
  try { return require('module').createRequire(path.resolve(from, 'x.js'))(name + '/package.json').version; }
  catch { return 'none'; }
};
const places = [['.', 'is-odd'], ['.', 'ui'], ['../../packages/ui', 'kind-of'], ['../..', 'is-number'], ['../other', 'left-pad']];
fs.mkdirSync('dist');
fs.writeFileSync('dist/index.html', places.map(([from, name]) => version(from, name)).join(' '));
"""


@pytest.mark.parametrize(
    ("lock", "members"),
    [
        ("pnpm-lock.yaml", None),
        ("package-lock.json", "needed"),
        ("bun.lock", "needed"),
        ("package-lock.json", None),
    ],
)
def test_one_app_of_a_workspace_is_installed_with_what_it_needs(
    server: "Server", lock: str, members: str | None
) -> None:
    own = "*" if lock == "package-lock.json" else "workspace:*"
    manifests: dict[str, dict[str, Any]] = {
        "": {
            "name": "root",
            "private": True,
            "workspaces": ["apps/*", "packages/*"],
            "devDependencies": {"is-number": "7.0.0"},
        },
        "apps/web/": {
            "name": "web",
            "version": "1.0.0",
            "scripts": {"build": "node build.js"},
            "dependencies": {"ui": own, "is-odd": "3.0.1"},
        },
        "apps/other/": {"name": "other", "version": "1.0.0", "dependencies": {"left-pad": "1.3.0", "kind-of": "6.0.3"}},
        "packages/ui/": {"name": "ui", "version": "1.0.0", "dependencies": {"kind-of": "3.2.2"}},
    }
    files = {f"{place}package.json": json.dumps(manifest) for place, manifest in manifests.items()}
    files |= {lock: (LOCKS / "workspace" / lock).read_text(), "apps/web/build.js": REACH}
    if lock.startswith("pnpm"):
        files["pnpm-workspace.yaml"] = "packages:\n  - apps/*\n  - packages/*\n"
    asked = f'members = "{members}"\n' if members else ""
    files["headrace.toml"] = f'root = "apps/web"\n[build]\noutput = "dist"\n{asked}'
    build = installed(server, files, "web")
    port = httpx2.URL(server.url).port
    page = httpx2.get(f"{server.url}/", headers={"Host": f"web.localhost:{port}"})
    part = members or lock.startswith("pnpm")
    assert page.text == f"3.0.1 1.0.0 3.2.2 7.0.0 {'none' if part else '1.3.0'}"
    # What only the other app says is no part of the key; what the app uses is.
    files["apps/other/package.json"] = json.dumps(
        {**manifests["apps/other/"], "description": "x", "peerDependenciesMeta": {}}
    )
    server.upload(build["project_id"], files)
    again = server.build(build["project_id"], wait=True)
    decisions = server.http.get(f"/builds/{again['id']}/cache").json()["items"]
    decision = next(one for one in decisions if one["cache"] == "dependencies")
    assert decision["hit"] is bool(part), decision["explanation"]


def summary(server: "Server", build: dict[str, Any]) -> str:
    events = server.events(build["id"])
    said: str = next(
        e["summary"] for e in events if e["type"] == "build.step.completed" and e["step"] == "dependencies"
    )
    return said


def with_addresses() -> dict[str, str]:
    """The project of npm with the addresses in its lock file that npm writes by default."""
    files = project("package-lock.json")
    lock = json.loads(files["package-lock.json"])
    for place, entry in lock["packages"].items():
        name = place.removeprefix("node_modules/")
        if name:
            entry["resolved"] = f"https://registry.npmjs.org/{name}/-/{name}-{entry['version']}.tgz"
    return {**files, "package-lock.json": json.dumps(lock)}


def requests(build: dict[str, Any]) -> int:
    """Connections that the install made."""
    return sum(use["connections"] for use in build["network"] if use["step"] == "dependencies")


@pytest.mark.parametrize("lock", ["package-lock.json", "yarn-1.lock", "yarn-4.lock", "pnpm-lock.yaml", "bun.lock"])
def test_another_project_installs_packages_that_were_fetched_before_also_over_a_poisoned_store(
    server: "Server", data_dir: Path, lock: str
) -> None:
    files = with_addresses() if lock == "package-lock.json" else project(lock)
    first = installed(server, files, "first")
    assert requests(first) > 0
    kept = [path for path in (data_dir / "packages").glob("*/*/*") if len(path.name) == 128]
    assert len(kept) == 2
    # Another set of files: no layer is near, so that nothing is begun with one.
    other = installed(server, {**files, ".npmrc": "fund=false\n"}, "second")
    assert other["artifact"] == first["artifact"]
    assert summary(server, other).endswith("2 of 2 packages fetched before")
    # pnpm asks about each package, whatever it has of it.
    assert (requests(other) > 0) is lock.startswith("pnpm")
    for path in kept:
        path.write_bytes(b"evil" + path.read_bytes())
    third = installed(server, {**files, "patches/none.txt": "none\n"}, "third")
    assert third["artifact"] == first["artifact"]
    assert requests(third) > 0
    assert not any(path.read_bytes().startswith(b"evil") for path in kept)
    listed = {entry["scope"] for entry in server.http.get("/cache").json()["items"] if entry["kind"] == "packages"}
    assert listed == {"workspace:default"}
