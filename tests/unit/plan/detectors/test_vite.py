import json

import pytest

from headrace.plan.detectors.base import Detected
from headrace.plan.detectors.vite import Vite
from headrace.plan.manifest import read_manifest
from headrace.plan.project_files import MemoryFiles
from headrace.plan.project_view import ProjectView


def detect(config: str = "", script: str = "vite build", **files: str) -> Detected | None:
    manifest = json.dumps({"scripts": {"build": script}, "devDependencies": {"vite": "8"}})
    memory = MemoryFiles({"package.json": manifest, "vite.config.ts": config, **files})
    return Vite().detect(ProjectView(memory, "", read_manifest(memory, "package.json")))


@pytest.mark.parametrize(
    ("config", "script", "output"),
    [
        ("", "vite build", "dist"),
        ("export default { build: { outDir: 'build' } }", "vite build", "build"),
        ('export default { build: { outDir: "./out/www" } }', "vite build", "out/www"),
        ("export default { root: 'src', build: { outDir: '../public_html' } }", "vite build", "public_html"),
        ("export default { root: 'src' }", "vite build", "src/dist"),
        ("// outDir: 'old'\nexport default {}", "vite build", "dist"),
        ("export default { build: { outDir: `${where}/x` } }", "vite build", "dist"),
        ("export default { build: { outDir: '../../etc' } }", "vite build", "dist"),
        ("export default { build: { outDir: '/etc' } }", "vite build", "dist"),
        ("", "tsc && vite build --outDir www", "www"),
        ("", "vite build --outDir=www && cp a b", "www"),
    ],
)
def test_the_output_is_read_where_it_stands_as_plain_text(config: str, script: str, output: str) -> None:
    found = detect(config, script)
    assert found is not None
    assert found.output == output


@pytest.mark.parametrize(
    ("config", "spa"),
    [
        ("", True),
        ("export default { appType: 'mpa' }", False),
        ("input: { main: 'index.html', admin: 'admin/index.html' }", False),
    ],
)
def test_several_pages_are_no_single_page_app(config: str, spa: bool) -> None:
    found = detect(config)
    assert found is not None
    assert found.spa is spa


@pytest.mark.parametrize(
    ("config", "script", "base"),
    [
        ("base: '/app/'", "vite build", "/app/"),
        ("base: '/app'", "vite build", "/app/"),
        ("", "vite build --base=/x/y", "/x/y/"),
        ("base: './'", "vite build", "/"),
        ("base: 'https://cdn.example/'", "vite build", "/"),
        ("base: '/../x/'", "vite build", "/"),
    ],
)
def test_a_base_is_a_plain_path_or_nothing(config: str, script: str, base: str) -> None:
    found = detect(config, script)
    assert found is not None
    assert found.base == base


def test_a_project_without_vite_is_none() -> None:
    memory = MemoryFiles({"package.json": "{}"})
    assert Vite().detect(ProjectView(memory, "", read_manifest(memory, "package.json"))) is None
