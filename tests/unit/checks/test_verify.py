import pytest

from headrace.checks.base import Output, OutputFile, OutputLink
from headrace.checks.entry_page import assets
from headrace.checks.verify import verify
from headrace.errors import StepFailed
from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.plan import BuildPlan, RedirectRule, Routing

PLAN = BuildPlan(framework="vite", output="dist")


class Memory:
    def __init__(self, files: dict[str, str]) -> None:
        self._files = files

    def read(self, path: str, limit: int) -> bytes:
        return self._files.get(path, "").encode()[:limit]


def check(
    files: dict[str, str], plan: BuildPlan = PLAN, secrets: dict[str, str] | None = None, **more: object
) -> list[str]:
    listed = tuple(OutputFile(path=path, size=len(text)) for path, text in sorted(files.items()))
    output = Output(directory="dist", files=listed, bytes=sum(file.size for file in listed)).but(**more)
    return verify(plan, output, Memory(files), secrets)


def refused(
    files: dict[str, str], plan: BuildPlan = PLAN, secrets: dict[str, str] | None = None, **more: object
) -> Failure:
    with pytest.raises(StepFailed) as stopped:
        check(files, plan, secrets, **more)
    return stopped.value.failure


PAGE = '<link rel="stylesheet" href="/a/x.css"><script type="module" crossorigin src="/a/x.js"></script>'
GOOD = {"index.html": PAGE, "a/x.css": "", "a/x.js": ""}


def test_a_good_output_passes_without_a_word() -> None:
    assert check(GOOD) == []


def test_an_empty_output_is_refused() -> None:
    assert refused({}).reason is FailureReason.OUTPUT_EMPTY


def test_an_output_without_a_page_names_what_is_there() -> None:
    failure = refused({"main.js": "", "docs/index.html": ""})
    assert failure.reason is FailureReason.OUTPUT_INVALID
    assert "docs/index.html" in failure.message
    assert 'output = "dist/docs"' in (failure.hint or "")


def test_a_redirect_from_the_root_stands_for_a_page() -> None:
    assert check({"en/index.html": "", "_redirects": "/ /en/ 302\n"}) == []
    rules = Routing(redirects=(RedirectRule(path="/", to="/en/"),))
    assert check({"en/index.html": ""}, PLAN.but(routing=rules)) == []


def test_an_asset_that_is_not_there_is_named() -> None:
    failure = refused({"index.html": PAGE, "a/x.css": ""})
    assert failure.reason is FailureReason.OUTPUT_INVALID
    assert "/a/x.js" in failure.message


def test_pages_built_for_a_base_are_told_so_unless_the_plan_knows_it() -> None:
    files = {"index.html": '<script src="/app/a/x.js"></script>', "a/x.js": ""}
    assert "/app/" in (refused(files).hint or "")
    known = Routing(redirects=(RedirectRule(path="/app/*", to="/:splat", status=200),))
    assert check(files, PLAN.but(routing=known)) == []


def test_what_cannot_be_published_is_refused() -> None:
    assert "pipe is a FIFO" in refused(GOOD, odd=(("pipe", "a FIFO"),)).message


@pytest.mark.parametrize("target", ["/etc/passwd", "../x", "a/../../x", ".."])
def test_a_link_that_leads_out_is_refused(target: str) -> None:
    failure = refused(GOOD, links=(OutputLink(path="link", target=target),))
    assert failure.reason is FailureReason.OUTPUT_INVALID
    assert target in failure.message


def test_a_link_inside_is_left_out_and_said() -> None:
    warnings = check(GOOD, links=(OutputLink(path="b/link", target="../a/x.js"),))
    assert warnings == ["links are not published, only files are: b/link"]


def test_a_secret_in_the_output_is_found_and_not_repeated() -> None:
    failure = refused(
        {**GOOD, "a/x.js": "const k='hunter2hunter2'"}, secrets={"API_KEY": "hunter2hunter2", "SHORT": "x"}
    )
    assert failure.reason is FailureReason.OUTPUT_INVALID
    assert "API_KEY in a/x.js" in failure.message
    assert "hunter2" not in failure.model_dump_json()


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ('<script src="./b.js?v=1#x"></script>', ["/b.js"]),
        ("<link rel=stylesheet href=a.css>", ["/a.css"]),
        ('<base href="/x/"><script src="b.js"></script>', ["/x/b.js"]),
        ('<script src="https://cdn.example/x.js"></script><script src="//cdn.example/y.js"></script>', []),
        ('<script src="data:text/javascript,1"></script>', []),
        ('<link rel="icon" href="/gone.svg"><link rel="modulepreload" href="/gone.js">', []),
        ('<!-- <script src="old.js"></script> --><script src="new.js"></script>', ["/new.js"]),
        ("<script>document.write('<script src=\"x.js\">')</script>", []),
        ('<script src="/a%20b.js"></script>', ["/a b.js"]),
        ('<SCRIPT SRC="A.js"></SCRIPT>', ["/A.js"]),
        ('<script src="http://[bad/x.js"></script>', []),
    ],
)
def test_assets_of_a_page(page: str, expected: list[str]) -> None:
    assert assets(page) == expected


@pytest.mark.parametrize("piece", ["<a ", "<!--", "<script src=", "<link href='", "<![CDATA[", "<"])
@pytest.mark.timeout(20)
def test_a_page_made_to_be_slow_to_read_is_not(piece: str) -> None:
    assert assets(piece * (1_000_000 // len(piece))) == []


def test_images_that_only_a_server_answers_are_pointed_out() -> None:
    page = '<img srcSet="/_next/image?url=%2Fdot.png&amp;w=32&amp;q=75 1x" src="/_next/image?url=%2Fdot.png&amp;w=32">'
    (said,) = check({"index.html": page, "about.html": "<img src=/dot.png>"}, PLAN.but(framework="next"))
    assert "index.html" in said
    assert "about.html" not in said
    assert "unoptimized: true" in said
    assert check({"index.html": page}) == []
