import pytest

from headrace.errors import StepFailed
from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.project import ProxyRule
from headrace.plan.project_file import NAME, ProjectFile, proxy_rules, read_project_file
from headrace.plan.project_files import MemoryFiles


def read(text: str) -> ProjectFile:
    return read_project_file(MemoryFiles({NAME: text}), "")


def refused(text: str) -> Failure:
    with pytest.raises(StepFailed) as stopped:
        read(text)
    assert stopped.value.failure.reason is FailureReason.CONFIG_ERROR
    return stopped.value.failure


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ('[build]\n\ncomand = "x"\n', 3, "did you mean 'command'"),
        ("x = 1\n", 1, "unknown key 'x'"),
        ('path = "x"\n', 1, "unknown key 'path'"),
        ("[build]\noutput = 3\n", 2, "build.output"),
        ('[build]\nnetwork = "all"\n', 2, "'none', 'registries'"),
        (
            '[[routing.redirects]]\nfrom = "/a"\nto = "/b"\n\n[[routing.redirects]]\nfrm = "/c"\nto = "/d"\n',
            6,
            "'from'",
        ),
        ("[limits]\nbuild_seconds = 0\n", 2, "greater than 0"),
        ('[env]\n"A B" = "1"\n', 2, "not a name for a variable"),
        ('[env]\nA = "1"\nB = "a\\u0000b"\n', 3, "NUL"),
        ('[dev.proxy]\n"/a" = "http://127.0.0.1:1"\n"api" = "http://127.0.0.1:1"\n', 3, "is not a path"),
        ('[dev.proxy]\n"/api/" = "https://example.org/x"\n', 2, "is not an address"),
        ('[build]\nsecrets = ["A B"]\n', 2, "can't be the name of a secret"),
        ('[build]\ninstall_secrets = ["PATH"]\n', 2, "can't be the name of a secret"),
        ("[dev]\nprox = 1\n", 2, "did you mean 'proxy'"),
        ('[apps.web]\nroot = "a"\n\n[apps.web.build]\ncomand = "x"\n', 5, "did you mean 'command'"),
        ('[apps.web]\nroot = "a"\nbuild.comand = "x"\n', 3, "did you mean 'command'"),
        ('[apps.web]\nrot = "a"\n', 2, "did you mean 'root'"),
        ('[apps.a]\nroot = "a"\n[apps.web]\nbuild.node = "22"\n', 3, "apps.web.root: field required"),
        ('[apps.web]\nroot = "a"\n[apps.web.env]\n"A B" = "1"\n', 4, "not a name for a variable"),
        ('[apps.web]\nroot = "a"\n[apps.web.build]\nsecrets = ["A B"]\n', 4, "can't be the name of a secret"),
        ('[apps.web]\nroot = "a"\n[apps.web.dev.proxy]\n"api" = "http://127.0.0.1:1"\n', 4, "is not a path"),
        ('[apps]\n"web shop".root = "a"\n', 2, "is not a name"),
        ('root = "x"\n[apps.web]\nroot = "a"\n', 1, "each of web has a root of its own"),
        ('app = "shop"\n[apps.web]\nroot = "a"\n', 1, "'shop' is no app of this file; declared are web"),
        ('app = "shop"\n', 1, "none is declared"),
        ("[build\n", 1, "not valid TOML"),
        ('a = "1"\na = "2"\n', 2, "not valid TOML"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, line: int, says: str) -> None:
    failure = refused(text)
    assert says in failure.message
    assert (failure.diagnostics[0].file, failure.diagnostics[0].line) == (NAME, line)


def test_the_environment_is_bounded() -> None:
    assert "more than 128 KiB" in refused(f'[env]\nA = "{"x" * 140_000}"\n').message


def test_a_whole_file_is_read() -> None:
    parsed = read(
        'root = "web"\n[build]\ncommand = ["make", "site"]\noutput = "out"\nfrozen = false\n[env]\nA = "1"\n'
        '[routing]\nspa = true\n[[routing.redirects]]\nfrom = "/a"\nto = "/b"\nstatus = 308\n'
    )
    assert parsed.build.command == ("make", "site")
    assert (parsed.root, parsed.env, parsed.routing.spa) == ("web", {"A": "1"}, True)
    assert parsed.routing.redirects[0].source == "/a"


def test_the_file_of_the_project_goes_before_the_one_at_the_root() -> None:
    files = MemoryFiles({NAME: '[build]\nnode = "18"', f"apps/web/{NAME}": '[build]\nnode = "20"'})
    assert read_project_file(files, "apps/web").build.node == "20"
    assert read_project_file(files, "apps/other").build.node == "18"
    assert read_project_file(files, "apps/web").path == f"apps/web/{NAME}"


def test_no_file_means_no_wishes() -> None:
    assert read_project_file(MemoryFiles({}), "") == ProjectFile()


def test_proxies_of_development_become_rules_of_the_project() -> None:
    parsed = read('[dev.proxy]\n"/api/" = "http://127.0.0.1:8000"\n')
    assert proxy_rules(parsed) == (ProxyRule(path="/api/", to="http://127.0.0.1:8000"),)
