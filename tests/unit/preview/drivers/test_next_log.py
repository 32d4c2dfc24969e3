"""Next's errors, as its development server prints them."""

from headrace.diagnostics.places import Places
from headrace.model.diagnostic import FailureReason, LogLine
from headrace.preview.drivers._next_log import NextLog

CROSS = "\u2a2f"
PLACES = Places({"app/page.js", "app/words.js"})


def lines(text: str) -> list[LogLine]:
    return [LogLine(seq=at, text=line) for at, line in enumerate(text.strip("\n").split("\n"), start=1)]


def test_a_missing_module_has_its_place() -> None:
    (found,) = NextLog().parse(
        lines(f"""
{CROSS} ./app/page.js:1:1
Error: Module not found: Can't resolve './nope'
> 1 | import x from './nope';
    | ^^^^^^^^^^^^^^^^^^^^^^^
"""),
        PLACES,
    )
    assert found.reason is FailureReason.MISSING_DEPENDENCY
    assert found.diagnostic.message == "Module not found: Can't resolve './nope'"
    assert (found.diagnostic.file, found.diagnostic.line, found.diagnostic.column) == ("app/page.js", 1, 1)
    assert "import x from './nope';" in (found.diagnostic.excerpt or "")


def test_a_page_that_throws_has_the_place_of_the_project_s_own_frame() -> None:
    (found,) = NextLog().parse(
        lines(f"""
{CROSS} TypeError: Cannot read properties of undefined (reading 'x')
    at render (node_modules/react-dom/index.js:1:2)
    at Page (app/page.js:7:18)
>  7 |       {{undefined.x}}
 GET / 500 in 716ms
"""),
        PLACES,
    )
    assert (found.diagnostic.file, found.diagnostic.line, found.diagnostic.column) == ("app/page.js", 7, 18)


def test_what_it_says_of_good_pages_is_no_error() -> None:
    assert NextLog().parse(lines("○ Compiling / ...\n✓ Compiled in 103ms\n GET / 200 in 30ms"), PLACES) == []
