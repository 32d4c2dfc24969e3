"""Projects over HTTP."""

import httpx2


async def make(api: httpx2.AsyncClient, **fields: object) -> httpx2.Response:
    return await api.post("/workspaces/default/projects", json={"name": "Shop", **fields})


async def test_a_project_is_made_with_a_slug_from_its_name_and_found_again(api: httpx2.AsyncClient) -> None:
    made = await make(api, name="My Shop!")
    assert made.status_code == 201, made.text
    project = made.json()
    assert (project["slug"], project["url"]) == ("my-shop", "http://my-shop.localhost:7700/")
    again = await api.get(made.headers["location"].removeprefix("/api/v1"))
    assert (again.status_code, again.json()) == (200, project)
