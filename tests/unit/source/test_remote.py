import pytest

from headrace.errors import InvalidInput
from headrace.model.version import GitSource
from headrace.settings import Settings
from headrace.source._remote import check_commit, check_ref, parse_remote, split_credential
from headrace.source.git import check_git_source

REFUSED_URLS = [
    # B30: helpers that run commands
    "ext::sh -c touch% /tmp/C",
    "ext::sh%20-c%20id",
    # B31: options
    "--upload-pack=touch /tmp/C",
    "-u/bin/sh",
    "-c core.fsmonitor=id",
    " -x",
    " https://host/r",
    # B32: files of this machine
    "file:///etc",
    "/etc",
    "../other-tenant",
    "./r",
    "C:\\r",
    # B33: options for ssh
    "ssh://-oProxyCommand=id/r",
    "ssh://git@host/r",
    "host:-x",
    "git@github.com:owner/name.git",
    "https://-oProxyCommand=id/r",
    # B34: other schemes
    "http://host/r",
    "git://host/r",
    "ftp://host/r",
    "rsync://host/r",
    "foo::bar",
    "https::https://host/r",
    # B35: what somebody could expand
    "https://h/${AWS_SECRET_ACCESS_KEY}",
    "https://h/$HOME",
    "~root",
    "https://h/~root",
    "https://h/%24HOME",
    "https://h/%2e%2e/x",
    # B38: hosts and users that parsers read differently
    "https://2130706433/r",
    "https://0x7f000001/r",
    "https://0177.0.0.1/r",
    "https://127.1/r",
    "https://0x7f.1/r",
    "https://1.2.3.4.5/r",
    "https://127.0.0.1./r",
    "https://localhost./r",
    "https://a@b@c/r",
    "https://h#@evil/r",
    "https://h?@evil/r",
    "https://evil\\@h/r",
    "https://h\\evil/r",
    "https://\u0440\u0430ypal.com/r",
    "https://h%2eevil/r",
    "https://h/r?x=1",
    "https://h/r#x",
    "https://[::1/r",
    "https://[fe80::1%25eth0]/r",
    "https://h:0/r",
    "https://h:99999/r",
    "https://h:22x/r",
    "https:///r",
    "https://h",
    "https://h/",
    "https://h//r",
    "https://h/a/../r",
    "https://h/r\n",
    "https://h/r\r\nHost: evil",
    "https://h/a b",
    "https://h_x/r",
    "https://-h/r",
    "https://h..x/r",
    f"https://h/{'a' * 3000}",
    "",
]


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_an_address_that_is_not_plain_https_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_remote(url)
    assert caught.value.exact_code == "source.url_not_allowed"
    assert len(url) < 12 or url not in caught.value.message


@pytest.mark.parametrize(
    ("url", "clean", "host", "port"),
    [
        ("https://github.com/owner/name.git", "https://github.com/owner/name.git", "github.com", 443),
        ("HTTPS://GitHub.com:443/Owner/Name/", "https://github.com/Owner/Name", "github.com", 443),
        ("https://git.example:8443/a/b/c", "https://git.example:8443/a/b/c", "git.example", 8443),
        (
            "https://dev.azure.com/o/My%20Project/_git/r",
            "https://dev.azure.com/o/My%20Project/_git/r",
            "dev.azure.com",
            443,
        ),
        ("https://xn--bcher-kva.example/r", "https://xn--bcher-kva.example/r", "xn--bcher-kva.example", 443),
        ("https://140.82.121.4/o/r", "https://140.82.121.4/o/r", "140.82.121.4", 443),
        ("https://[2606:50C0:0::1]/o/r", "https://[2606:50c0::1]/o/r", "2606:50c0::1", 443),
    ],
)
def test_an_ordinary_address_is_put_together_anew(url: str, clean: str, host: str, port: int) -> None:
    remote = parse_remote(url)
    assert (remote.url, remote.host, remote.port) == (clean, host, port)


def test_files_of_this_machine_are_a_source_where_the_operator_says_so() -> None:
    assert parse_remote("file:///srv/repos/r 1.git".replace(" ", "_"), allow_files=True).host == ""
    for url in ("file://host/r", "file:///a/../b", "file:r", "file:///$HOME"):
        with pytest.raises(InvalidInput):
            parse_remote(url, allow_files=True)


@pytest.mark.parametrize(
    ("url", "clean", "user", "token"),
    [
        ("https://ann:s3cret@host/r.git", "https://host/r.git", "ann", "s3cret"),
        ("https://s3cret@host/r.git", "https://host/r.git", "s3cret", ""),
        ("https://x:p%40ss%2Fword@host:8443/r", "https://host:8443/r", "x", "p@ss/word"),
        ("http://ann:s3cret@host/r", "http://host/r", "ann", "s3cret"),
    ],
)
def test_a_credential_is_split_off_and_does_not_print(url: str, clean: str, user: str, token: str) -> None:
    rest, credential = split_credential(url)
    assert rest == clean
    assert credential is not None
    assert (credential.user, credential.token) == (user, token)
    assert "s3cret" not in f"{credential!r} {credential}"


@pytest.mark.parametrize("url", ["https://host/r", "https://host/a@b", "git@host:r", "/etc", "https://@host/r"])
def test_an_address_without_a_credential_has_none(url: str) -> None:
    assert split_credential(url)[1] is None


@pytest.mark.parametrize(
    "url", ["https://a:b%0Apassword=x@h/r", "https://a%00:b@h/r", "https://a:%0d@h/r", "https://-oX:b@h/r"]
)
def test_a_credential_that_could_say_more_than_itself_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        split_credential(url)
    assert caught.value.exact_code == "source.url_not_allowed"


@pytest.mark.parametrize(
    "ref",
    [
        *("--upload-pack=x", "-", "@{-1}", "@", "HEAD", "a..b", "a b", "refs/heads/\n", "x" * 1024, "HEAD^{/x}"),
        *(
            "",
            "/a",
            "a/",
            "a//b",
            "a.lock",
            "a.lock/b",
            ".a",
            "a/.b",
            "a.",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "a[",
            "a\\b",
        ),
        *("a\x7f", "a\0b", "a\u202eb", "a\u200bb", "refs/pull/1/head", "refs/x", "ä" * 200, "a\udc80"),
    ],
)
def test_what_is_not_a_branch_or_a_tag_is_refused(ref: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_ref(ref)
    assert caught.value.exact_code == "source.ref_invalid"


@pytest.mark.parametrize(
    "ref",
    [
        "main",
        "feature/x-1",
        "v1.2.3",
        "release_2",
        "refs/heads/main",
        "refs/tags/v1",
        "größe",
        "a@b",
        "dependabot/npm/x",
    ],
)
def test_ordinary_branches_and_tags_pass(ref: str) -> None:
    assert check_ref(ref) == ref


@pytest.mark.parametrize(
    "commit", ["", "HEAD", "abc1234", "g" * 40, "a" * 39, "a" * 41, "a" * 64, "-" + "a" * 39, "a" * 40 + "\n"]
)
def test_what_is_not_a_full_commit_name_is_refused(commit: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_commit(commit)
    assert caught.value.exact_code == "source.commit_invalid"


def test_a_commit_name_is_lower_case() -> None:
    assert check_commit("ABCDEF0123" * 4) == "abcdef0123" * 4


def test_a_source_is_checked_as_a_whole_before_anyone_is_asked(tmp_path: object) -> None:
    settings = Settings()
    check_git_source(GitSource(url="https://u:t@host/r", ref="main", commit="a" * 40), settings)
    for wrong in (
        GitSource(url="http://host/r"),
        GitSource(url="https://host/r", ref="-x"),
        GitSource(url="https://host/r", commit="main"),
    ):
        with pytest.raises(InvalidInput):
            check_git_source(wrong, settings)
