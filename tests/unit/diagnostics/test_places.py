import pytest

from headrace.diagnostics.ansi import plain
from headrace.diagnostics.imports import unresolved
from headrace.diagnostics.places import Places

PLACES = Places(["src/App.tsx", "src/parts/Button.vue", "src/app.css", "vite.config.ts", "src/parts/counter.js"])


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("src/App.tsx", "src/App.tsx"),
        ("./src/App.tsx", "src/App.tsx"),
        ("src/parts/../App.tsx", "src/App.tsx"),
        ("/app/src/App.tsx", "src/App.tsx"),
        ("file:///any/where/else/src/App.tsx", "src/App.tsx"),
        ("/app/src/parts/Button.vue?vue&type=script", "src/parts/Button.vue"),
        ("'vite.config.ts'", "vite.config.ts"),
        ("/app/node_modules/x/src/App.tsx", None),
        ("../src/App.tsx", None),
        ("/etc/passwd", None),
        ("", None),
        ("a\0b", None),
        ("x" * 5000, None),
    ],
)
def test_a_name_is_a_file_of_the_version_or_nothing(name: str, path: str | None) -> None:
    assert PLACES.find(name) == path


@pytest.mark.parametrize(
    ("module", "importer", "says"),
    [
        ("./parts/Buton.vue", "src/App.tsx", "did you mean src/parts/Button.vue?"),
        ("./Counter.js", "src/parts/Button.vue", "there is src/parts/counter.js: names of files are case-sensitive"),
        ("./nothing/like/it", "src/App.tsx", "add the file ./nothing/like/it"),
        ("/src/Ap.tsx", "index.html", "did you mean src/App.tsx?"),
        ("react-dom/client", "src/App.tsx", "add react-dom to the dependencies"),
        ("@scope/pkg/deep", None, "add @scope/pkg to the dependencies"),
        ("@/parts/x", "src/App.tsx", "an alias"),
    ],
)
def test_a_hint_for_an_import_that_leads_nowhere(module: str, importer: str | None, says: str) -> None:
    assert says in unresolved(module, importer, PLACES).hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x1b[39m", "red"),
        ("\x1b]8;;https://x\x07link\x1b]8;;\x07", "link"),
        ("10%\r50%\rdone", "done"),
        ("line\r", "line"),
        ("a\x00b\x07c\td", "abc\td"),
        ("\x1b[38;5;246m╭\x1b[0m", "╭"),
    ],
)
def test_a_terminals_sequences_are_taken_out(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_a_name_from_the_directory_of_a_member_is_its_only_file_of_that_name() -> None:
    places = Places(["packages/ui/src/button.ts", "apps/web/src/main.ts", "apps/docs/src/main.ts"], "apps/web")
    assert places.find("src/button.ts") == "packages/ui/src/button.ts"
    assert places.find("src/main.ts") == "apps/web/src/main.ts"
    assert Places(["a/src/main.ts", "b/src/main.ts"]).find("src/main.ts") is None
    assert places.find("button.ts") is None
