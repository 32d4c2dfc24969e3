"""Generators of documentation, blogs and slides: they write pages, whatever they are told."""

from headrace.plan.detectors.row import Row
from headrace.plan.project_view import ProjectView

_VITEPRESS_DIRS = ("", "docs", "doc", "documentation", "website", "site", "src")


def _has_no_build(view: ProjectView) -> bool:
    """Storybook and its like stand beside most component libraries; alone they are what there is to show."""
    scripts = view.manifest.scripts if view.manifest else {}
    return not scripts.get("build", "").strip() or "storybook" in scripts["build"]


SITES = (
    Row(
        "docusaurus", "Docusaurus", ("@docusaurus/core",), config=("docusaurus.config",), build="docusaurus build",
        dev="docusaurus start", output="build", published="static", base_setting=r"\bbaseUrl\s*:\s*['\"]([^'\"]+)['\"]",
        output_flags=(r"\bdocusaurus build\b[^&|;]{0,500}?--out-dir[ =]([\w./-]+)",), port=3000,
        ready=r"Docusaurus website is running at", caches=(".docusaurus", "node_modules/.cache"),
    ),
    Row(
        "docusaurus-1", "Docusaurus 1", ("docusaurus",), build="docusaurus-build", dev="docusaurus-start", output="build",
        output_candidates=("website/build",), port=3000,
    ),
    Row(
        "vitepress", "VitePress", ("vitepress",), build="vitepress build", dev="vitepress dev", beside=True,
        config=tuple(f"{name}/.vitepress/config".lstrip("/") for name in _VITEPRESS_DIRS),
        output="docs/.vitepress/dist",
        output_candidates=(".vitepress/dist", *(f"{name}/.vitepress/dist" for name in _VITEPRESS_DIRS if name)),
        output_flags=(r"\bvitepress build\b[^&|;]{0,500}?--outDir[ =]([\w./-]+)",), published="docs/public",
        base_setting=r"\bbase\s*:\s*['\"]([^'\"]+)['\"]", port=5173, ready=r"vitepress v[\d.]+",
        caches=("docs/.vitepress/cache", ".vitepress/cache"), env_prefix=("VITE_",),
    ),
    Row(
        "vuepress", "VuePress", ("vuepress",), build="vuepress build", dev="vuepress dev", beside=True,
        config=("docs/.vuepress/config", "src/.vuepress/config", ".vuepress/config"), output="docs/.vuepress/dist",
        output_candidates=("src/.vuepress/dist", ".vuepress/dist", "dist"),
        output_flags=(r"\bvuepress build\b[^&|;]{0,500}?(?:-d|--dest)[ =]([\w./-]+)",),
        base_setting=r"\bbase\s*:\s*['\"]([^'\"]+)['\"]", published="docs/.vuepress/public", port=8080,
        caches=("docs/.vuepress/.cache", "node_modules/.cache"),
    ),
    Row(
        "rspress", "Rspress", ("@rspress/core", "rspress"), config=("rspress.config",), build="rspress build",
        dev="rspress dev", output="doc_build", output_settings=(r"\boutDir\s*:\s*['\"]([^'\"]+)['\"]",), beside=True,
        base_setting=r"\bbase\s*:\s*['\"]([^'\"]+)['\"]", published="docs/public", port=3000, caches=("node_modules/.cache",),
    ),
    Row(
        "slidev", "Slidev", ("@slidev/cli",), build="slidev build", dev="slidev", spa=True, port=3030,
        output_flags=(r"\bslidev build\b[^&|;]{0,500}?(?:-o|--out)[ =]([\w./-]+)",), ready=r"public slide show",
        caches=("node_modules/.vite",),
    ),
    Row(
        "eleventy", "Eleventy", ("@11ty/eleventy",), config=("eleventy.config", ".eleventy"), build="eleventy",
        dev="eleventy --serve", output="_site", output_candidates=("dist", "public", "build", "_output"),
        output_settings=(r"\boutput\s*:\s*['\"]([^'\"]+)['\"]", r"setOutputDirectory\(\s*['\"]([^'\"]+)['\"]"),
        output_flags=(r"\beleventy\b[^&|;]{0,500}?--output[ =]([\w./-]+)",), port=8080, ready=r"Server at http",
        caches=(".cache",),
    ),
    Row(
        "hexo", "Hexo", ("hexo",), config=("_config.yml",), build="hexo generate", dev="hexo server", output="public",
        output_settings=(r"(?m)^public_dir\s*:\s*([\w./-]+)",), published="source", port=4000,
        ready=r"Hexo is running at",
    ),
    Row(
        "observable", "Observable Framework", ("@observablehq/framework",), config=("observablehq.config",),
        build="observable build", dev="observable preview", published="src", port=3000,
        output_settings=(r"\boutput\s*:\s*['\"]([^'\"]+)['\"]",), caches=("src/.observablehq/cache",),
    ),
    Row(
        "metalsmith", "Metalsmith", ("metalsmith",), build="metalsmith", output="build", config=("metalsmith.json",),
        output_settings=(r"['\"]?destination['\"]?\s*:\s*['\"]([^'\"]+)['\"]",),
    ),
    Row("wintersmith", "Wintersmith", ("wintersmith",), build="wintersmith build", dev="wintersmith preview", output="build", port=8080),
    Row("harp", "Harp", ("harp",), build="harp compile", dev="harp server", output="www", output_candidates=("build",), port=9000),
    Row("honkit", "HonKit", ("honkit",), build="honkit build", dev="honkit serve", output="_book", port=4000),
    Row(
        "antora", "Antora", ("antora", "@antora/cli"), build="antora antora-playbook.yml", output="build/site",
        config=("antora-playbook.yml",), output_settings=(r"(?m)^[ \t]+dir\s*:\s*([\w./-]+)",),
    ),
    Row("react-static", "React Static", ("react-static",), build="react-static build", dev="react-static start", port=3000),
    Row("scully", "Scully", ("@scullyio/init",), build="scully", dev="scully serve", output="dist/static", port=1668),
)  # fmt: skip

#: Workshops of components: asked after everything that a project may be beside them.
WORKSHOPS = (
    Row(
        "storybook", "Storybook", ("storybook",), config=(".storybook/main",), build="storybook build", dev="storybook dev",
        output="storybook-static", output_flags=(r"\bstorybook build\b[^&|;]{0,500}?(?:-o|--output-dir)[ =]([\w./-]+)",),
        beside=True, when=_has_no_build, port=6006, ready=r"Storybook .*(?:started|ready)",
        caches=("node_modules/.cache/storybook",), env_prefix=("STORYBOOK_",),
    ),
    Row(
        "histoire", "Histoire", ("histoire",), build="histoire build", dev="histoire dev", output=".histoire/dist",
        beside=True, when=_has_no_build, port=6006, caches=("node_modules/.vite",),
    ),
    Row(
        "ladle", "Ladle", ("@ladle/react",), build="ladle build", dev="ladle serve", output="build", beside=True,
        when=_has_no_build, port=61000,
    ),
)  # fmt: skip
