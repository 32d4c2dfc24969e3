"""A repository with several apps: each build has the one that its project or its own option names."""

from pathlib import Path

from tests.unit.pipeline.conftest import Shop

from headrace.model.build import Build, BuildOptions
from headrace.model.version import DirectorySource
from headrace.pipeline.here import build_here, project_of


def declare(shop: Shop, text: str = "") -> DirectorySource:
    place = shop.directory.parent / "many"
    for name in ("web", "docs"):
        (place / name).mkdir(parents=True)
        (place / name / "index.html").write_text(f"<title>{name}</title>{name}")
    (place / "headrace.toml").write_text(f'{text}\n[apps.web]\nroot = "web"\n[apps.docs]\nroot = "docs"\n')
    return DirectorySource(path=str(place))


async def build(shop: Shop, source: DirectorySource, of: str | None, **options: object) -> Build:
    return await build_here(shop.services, shop.worker, source, BuildOptions.model_validate(options), app=of)


async def test_each_app_is_a_project_that_is_found_again(shop: Shop) -> None:
    source = declare(shop)
    web, docs = await build(shop, source, "web"), await build(shop, source, "docs")
    assert web.project_id != docs.project_id
    assert ["web" in await shop.page(web), "docs" in await shop.page(docs)] == [True, True]
    assert (await build(shop, source, "web")).id == web.id
    project = await project_of(shop.services, source, "docs")
    assert (project.id, project.slug, project.settings.app) == (docs.project_id, "many-docs", "docs")


async def test_a_build_may_ask_for_another_app_than_its_project(shop: Shop) -> None:
    source = declare(shop, 'app = "web"')
    usual, other = await build(shop, source, None), await build(shop, source, None, app="docs")
    assert usual.project_id == other.project_id
    assert ["web" in await shop.page(usual), "docs" in await shop.page(other)] == [True, True]


async def test_without_a_choice_the_build_fails_with_all_apps(shop: Shop) -> None:
    failure = (await build(shop, declare(shop), None)).failure
    assert failure is not None
    assert "docs (docs), web (web)" in failure.message
    assert Path(failure.diagnostics[0].file or "").name == "headrace.toml"
