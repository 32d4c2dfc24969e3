"""Who may see a preview is a setting; its password is kept as a hash that nobody is shown."""

import httpx2
import pytest

from headrace.pipeline.services import Services
from headrace.preview.passwords import matches
from headrace.records import projects


async def _project(api: httpx2.AsyncClient) -> str:
    project: str = (await api.post("/workspaces/default/projects", json={"name": "shop"})).json()["id"]
    return project


async def test_a_password_is_stored_as_a_hash_and_never_shown(api: httpx2.AsyncClient, services: Services) -> None:
    project_id = await _project(api)
    wish = {"settings": {"preview": {"protection": "password", "password": "open sesame"}}}
    answer = await api.patch(f"/projects/{project_id}", json=wish)
    assert answer.status_code == 200
    assert answer.json()["settings"]["preview"] == {"mode": "auto", "protection": "password", "password_hash": "set"}
    async with services.db.read() as c:
        stored = await projects.get(c, project_id)
    assert stored is not None
    assert stored.settings.preview.password_hash is not None
    assert await matches(stored.settings.preview.password_hash, "open sesame")
    assert not await matches(stored.settings.preview.password_hash, "open says me")


async def test_other_settings_change_without_touching_the_password(api: httpx2.AsyncClient) -> None:
    project_id = await _project(api)
    await api.patch(f"/projects/{project_id}", json={"settings": {"preview": {"password": "open sesame"}}})
    answer = await api.patch(f"/projects/{project_id}", json={"settings": {"preview": {"protection": "password"}}})
    assert answer.json()["settings"]["preview"]["password_hash"] == "set"


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"protection": "password"}, "preview.password_missing"),
        ({"password": "short"}, None),
        ({"protection": "nobody"}, None),
        ({"password_hash": "$argon2id$mine"}, None),
    ],
)
async def test_what_can_not_be_is_refused(api: httpx2.AsyncClient, wish: dict[str, str], code: str | None) -> None:
    answer = await api.patch(f"/projects/{await _project(api)}", json={"settings": {"preview": wish}})
    assert answer.status_code == 422
    if code:
        assert answer.json()["code"] == code


async def test_a_new_project_brings_no_hash_of_its_own(api: httpx2.AsyncClient) -> None:
    wish = {"name": "shop", "settings": {"preview": {"password_hash": "$argon2id$mine"}}}
    answer = await api.post("/workspaces/default/projects", json=wish)
    assert (answer.status_code, answer.json()["code"]) == (422, "preview.password_hash")
