"""Projects whose source is a bucket, as a user has them: the server, its API, real builds, real object storage."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx2
import pytest

REPOSITORY = Path(__file__).parents[3]

pytestmark = pytest.mark.xdist_group("bucket-projects")
everywhere = pytest.mark.parametrize("kind", ["s3", "azure", "directory"], indirect=True)
#: For what is decided before a bucket is asked.
one_kind = pytest.mark.parametrize("kind", ["directory"], indirect=True)


@pytest.fixture
def environment(environment: dict[str, str], kind: Any) -> dict[str, str]:
    """The server's, with one bucket in it."""
    access = kind.access.model_dump(mode="json", exclude_defaults=True, exclude={"secret"})
    if kind.access.secret:
        access["secret"] = kind.access.secret.get_secret_value()
    given = {f"HEADRACE_BUCKETS__MAIN__{name.upper()}": str(value) for name, value in access.items()}
    return environment | given | {"HEADRACE_ALLOW_FILE_URLS": "true"}


@pytest.fixture
def repository(tmp_path: Path) -> Any:
    """Makes a repository with these files, or with those of an example; its address."""

    def make(files: dict[str, str], example: str | None = None) -> str:
        root = tmp_path / "repository"
        if example:
            shutil.copytree(
                REPOSITORY / "examples" / example, root, ignore=shutil.ignore_patterns("node_modules", "dist")
            )
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        author = ["-c", "user.name=Ann", "-c", "user.email=a@example.org"]
        for command in (["init", "-q", "-b", "main"], ["add", "."], [*author, "commit", "-q", "-m", "begin"]):
            subprocess.run(["git", "-C", str(root), *command], check=True)
        return f"file://{root}"

    return make


def create(server: Any, kind: Any, **fields: Any) -> httpx2.Response:
    body = {"name": "Shop", "source": {"kind": "bucket", "url": kind.access.url + "/teams"}, **fields}
    answer: httpx2.Response = server.http.post("/workspaces/default/projects", json=body)
    return answer


def page(server: Any, build: dict[str, Any]) -> str:
    # Not every machine's resolver knows the names below localhost.
    return httpx2.get(server.url, headers={"Host": httpx2.URL(build["url"]).netloc.decode()}).text


@everywhere
def test_a_project_is_begun_from_git_then_lives_in_its_bucket(server: Any, kind: Any, repository: Any) -> None:
    url = repository({"index.html": "<h1>one</h1>", "css/a.css": "h1{}"})
    made = create(server, kind, from_git={"url": url, "ref": "main"})
    assert made.status_code == 201, made.text
    project = made.json()
    below = f"teams/{project['id']}/frontend"
    assert kind.all() == {f"{below}/index.html": b"<h1>one</h1>", f"{below}/css/a.css": b"h1{}"}

    (version,) = server.http.get(f"/projects/{project['id']}/versions").json()["items"]
    assert (version["author"], version["branch"], version["message"]) == (
        {"kind": "git", "name": "Ann"},
        "main",
        "begin",
    )
    listed = server.http.get(f"/projects/{project['id']}/bucket").json()
    assert [(file["path"], file["size"]) for file in listed["files"]] == [
        ("frontend/css/a.css", 4),
        ("frontend/index.html", 12),
    ]

    first = server.until_ended(server.build(project["id"])["id"])
    assert first["status"] == "succeeded", server.events(first["id"])
    assert page(server, first) == "<h1>one</h1>"
    kind.put(f"{below}/index.html", b"<h1>two</h1>")
    second = server.until_ended(server.build(project["id"])["id"])
    assert page(server, second) == "<h1>two</h1>"


@everywhere
def test_files_that_are_said_to_have_changed_become_a_version(server: Any, kind: Any, repository: Any) -> None:
    files = {"index.html": "<h1>one</h1>", "old.css": "h1{}", "same.js": "1"}
    project = create(server, kind, from_git={"url": repository(files)}).json()
    below = f"teams/{project['id']}/frontend"
    kind.put(f"{below}/index.html", b"<h1>two</h1>")
    kind.put(f"{below}/new.css", b"p{}")
    kind.delete(f"{below}/old.css")
    changed = [{"path": name, "type": "frontend"} for name in ("index.html", "new.css", "old.css")]
    body = {"project_id": project["id"], "changed_files": changed}
    answer = server.http.post(f"/projects/{project['id']}/sync", json=body)
    assert answer.status_code == 200, answer.text
    assert {change["path"]: change["change"] for change in answer.json()["changes"]} == {
        "frontend/index.html": "modified",
        "frontend/new.css": "added",
        "frontend/old.css": "deleted",
    }
    listed = server.http.get(f"/projects/{project['id']}/files").json()["files"]
    assert [file["path"] for file in listed] == ["frontend/index.html", "frontend/new.css", "frontend/same.js"]
    again = server.http.post(f"/projects/{project['id']}/sync", json=body)
    assert again.json()["status"] == "no_changes"


@one_kind
def test_a_repository_that_has_the_two_parts_keeps_them(server: Any, kind: Any, repository: Any) -> None:
    files = {"frontend/index.html": "<p>", "backend/main.py": "x = 1", "README.md": "read me"}
    project = create(server, kind, from_git={"url": repository(files)}).json()
    below = f"teams/{project['id']}"
    assert kind.all() == {f"{below}/frontend/index.html": b"<p>", f"{below}/backend/main.py": b"x = 1"}
    assert server.until_ended(server.build(project["id"])["id"])["status"] == "succeeded"


@one_kind
def test_a_repository_that_can_not_be_had_makes_no_project(server: Any, kind: Any) -> None:
    answer = create(server, kind, from_git={"url": "file:///nowhere/at/all"})
    assert answer.status_code == 422
    assert answer.json()["code"] == "source_not_found"
    assert kind.all() == {}
    assert server.http.get("/workspaces/default/projects").json()["items"] == []


@everywhere
def test_a_project_that_can_not_be_made_leaves_nothing_in_the_bucket(server: Any, kind: Any, repository: Any) -> None:
    url = repository({"index.html": "<p>"})
    assert create(server, kind, slug="taken").status_code == 201
    assert create(server, kind, slug="taken", from_git={"url": url}).status_code == 409
    assert kind.all() == {}
    assert list((server.data_dir / "uploads").iterdir()) == []


@one_kind
def test_an_empty_place_is_a_failed_build_that_says_what_to_do(server: Any, kind: Any) -> None:
    project = create(server, kind).json()
    assert project["settings"]["root"] == "frontend"
    assert server.http.get(f"/projects/{project['id']}/bucket").json()["files"] == []
    build = server.until_ended(server.build(project["id"])["id"])
    assert build["status"] == "failed"
    assert build["failure"]["reason"] == "source_empty"
    assert f"teams/{project['id']}/frontend/" in build["failure"]["message"]


@one_kind
def test_a_bucket_that_the_operator_did_not_name_is_refused(server: Any, kind: Any) -> None:
    for url, code in (
        (f"{kind.access.url}-other", "source.bucket_not_allowed"),
        ("gs://elsewhere/x", "source.bucket_not_allowed"),
        (f"{kind.access.url}/../up", "source.url_invalid"),
        ("s3://user:secret@bucket/x", "source.url_invalid"),
        ("https://bucket.example/x", "source.url_invalid"),
    ):
        answer = create(server, kind, source={"kind": "bucket", "url": url})
        assert (answer.status_code, answer.json()["code"]) == (422, code), url
        assert answer.json()["errors"][0]["pointer"] == "/source/url"


@one_kind
def test_only_a_bucket_takes_a_copy_of_a_repository(server: Any, kind: Any, repository: Any) -> None:
    url = repository({"index.html": "<p>"})
    answer = create(server, kind, source=None, from_git={"url": url})
    assert (answer.status_code, answer.json()["code"]) == (422, "from_git.needs_bucket")
    assert server.http.get(f"/projects/{server.project('plain')['id']}/bucket").json()["code"] == "project.no_bucket"


@everywhere
def test_the_secret_is_in_no_log_and_no_answer(server: Any, kind: Any) -> None:
    project = create(server, kind).json()
    server.until_ended(server.build(project["id"])["id"])
    said = (
        json.dumps(project)
        + server.log.read_text()
        + create(server, kind, source={"kind": "bucket", "url": "s3://x-x"}).text
    )
    secret = kind.access.secret
    assert secret is None or secret.get_secret_value() not in said


@pytest.mark.network
@pytest.mark.sandbox
@pytest.mark.parametrize("kind", ["azure"], indirect=True)
def test_a_vite_project_in_a_bucket_is_built(server: Any, kind: Any, repository: Any) -> None:
    project = create(server, kind, from_git={"url": repository({}, example="vanilla-vite")}).json()
    build = server.until_ended(server.build(project["id"])["id"], seconds=180)
    assert build["status"] == "succeeded", server.events(build["id"])[-1]
    assert "/assets/" in page(server, build)
