import pytest

from headrace.plan.manifest import read_manifest
from headrace.plan.project_files import MemoryFiles
from headrace.plan.project_view import ProjectView
from headrace.plan.workspace import member_manifests, workspace_of


def view(files: dict[str, str], root: str) -> ProjectView:
    memory = MemoryFiles(files)
    return ProjectView(memory, root, read_manifest(memory, f"{root}/package.json" if root else "package.json"))


@pytest.mark.parametrize(
    "text",
    [
        "packages:\n  - 'apps/*'\n  - \"!apps/old\"\n",
        "# first\ncatalog:\n  react: 19\npackages:\n\n- apps/*  # all\n- '!apps/old'\nonlyBuiltDependencies:\n  - esbuild\n",
        "packages: ['apps/*', \"!apps/old\"]\n",
    ],
)
def test_members_of_a_pnpm_workspace_are_found(text: str) -> None:
    files = {"pnpm-workspace.yaml": text, **{f"apps/{name}/package.json": "{}" for name in ("a", "b", "old")}}
    assert [manifest.path for manifest in member_manifests(view(files, ""))] == [
        "apps/a/package.json",
        "apps/b/package.json",
    ]


@pytest.mark.parametrize(
    ("patterns", "root", "expected"),
    [
        ('["apps/*"]', "apps/web", ""),
        ('["apps/*"]', "apps/deep/web", "apps/deep/web"),
        ('["apps/**"]', "apps/deep/web", ""),
        ('["./apps/web/"]', "apps/web", ""),
        ('{"packages": ["apps/*"]}', "apps/web", ""),
        ('["**"]', "x/y/z", ""),
    ],
)
def test_the_workspace_of_a_member(patterns: str, root: str, expected: str) -> None:
    files = {"package.json": f'{{"workspaces": {patterns}}}', f"{root}/package.json": "{}"}
    assert workspace_of(view(files, root)).root == expected


@pytest.mark.timeout(10)
def test_a_pattern_made_to_be_slow_is_not_slow() -> None:
    pattern = "/".join(["**", "*a*a*a*"] * 40)
    deep = "/".join(["a" * 50] * 200)
    files = {"package.json": f'{{"workspaces": ["{pattern}"]}}', f"{deep}/package.json": "{}"}
    assert workspace_of(view(files, deep)).root in ("", deep)
