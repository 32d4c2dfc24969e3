"""What is decided about buckets before any is asked."""

import sys
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from headrace.errors import InvalidInput, InvalidSetting
from headrace.model.bucket import BucketAccess, parse_bucket_url
from headrace.model.version import BucketSource
from headrace.settings import Settings, read_settings
from headrace.source.bucket import BucketFetcher, check_bucket_source


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/x", "az://a-b/c/d", "gs://b.example/x@y", "file:///srv/a"])
def test_a_url_is_taken_apart_and_put_together(url: str) -> None:
    assert str(parse_bucket_url(url)) == url
    assert parse_bucket_url(f"{url}/") == parse_bucket_url(url)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "bucket",
            "s3:/bucket",
            "http://bucket/x",
            "S3://bucket",
            "s3://Bucket",
            "s3://b",
            "s3:///x",
            "s3://a:b@bucket/x",
        ),
        *(
            "s3://bucket/../x",
            "s3://bucket/a//b",
            "s3://bucket//",
            "s3://bucket/./a",
            "s3://bucket/a?b",
            "s3://bucket/a#b",
        ),
        *("s3://bucket/%2e%2e", "s3://bucket/a\\b", "s3://bucket/a\nb", "s3://bucket/a\u202eb", "s3://bucket:80/x"),
        *("file://", "file:///", "file://host/x", "file:relative", "file:///a/../b", f"s3://bucket/{'x' * 1100}"),
    ],
)
def test_a_url_that_could_mean_something_else_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_bucket_url(url)
    assert caught.value.exact_code == "source.url_invalid"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    wide, narrow = tmp_path / "wide", tmp_path / "wide" / "narrow"
    narrow.mkdir(parents=True)
    buckets = {name: BucketAccess(url=f"file://{place}") for name, place in (("a", wide), ("b", narrow))}
    return Settings(data_dir=tmp_path / "data", buckets=buckets)


@pytest.mark.parametrize("below", ["", "/team", "/narrow/x/"])
def test_a_source_may_be_at_or_below_what_the_operator_named(settings: Settings, below: str) -> None:
    check_bucket_source(BucketSource(url=settings.buckets["a"].url + below), settings)


@pytest.mark.parametrize("beside", ["-other", "/../other", "x"])
def test_a_source_beside_it_is_refused(settings: Settings, beside: str) -> None:
    with pytest.raises(InvalidInput):
        check_bucket_source(BucketSource(url=settings.buckets["a"].url + beside), settings)


def test_who_has_no_bucket_is_told_which_setting_makes_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_bucket_source(BucketSource(url="s3://bucket/x"), Settings(data_dir=tmp_path))
    assert caught.value.exact_code == "source.bucket_not_allowed"
    assert "HEADRACE_BUCKETS" in str(caught.value.hint)


async def test_of_two_places_the_narrower_one_answers(settings: Settings, tmp_path: Path) -> None:
    for place in ("wide/narrow/prj_1", "wide/prj_1"):
        (tmp_path / place / "frontend").mkdir(parents=True)
        (tmp_path / place / "frontend" / place.split("/")[1]).touch()
    fetcher = BucketFetcher(settings)
    for name, wanted in (("a", "prj_1"), ("b", "narrow")):
        files = await fetcher.list_files(BucketSource(url=settings.buckets[name].url), "prj_1")
        assert [file.path for file in files] == [f"frontend/{wanted}"]


def test_without_the_extra_the_server_says_which_one_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.delitem(sys.modules, "headrace.source._bucket_cloud", raising=False)
    BucketFetcher(Settings(data_dir=tmp_path, buckets={"a": BucketAccess(url="file:///srv")}))
    with pytest.raises(InvalidSetting, match="extra `bucket`"):
        BucketFetcher(Settings(data_dir=tmp_path, buckets={"a": BucketAccess(url="s3://bucket")}))


def test_a_credential_that_is_none_stops_the_start_and_is_not_shown(tmp_path: Path) -> None:
    access = BucketAccess(url="az://box-1", account="me", secret=SecretStr("not base64 at all"))
    with pytest.raises(InvalidSetting) as caught:
        BucketFetcher(Settings(data_dir=tmp_path, buckets={"a": access}))
    assert "base64" not in str(caught.value)


def test_buckets_are_set_by_variables_and_their_secrets_do_not_print(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"URL": "s3://bucket/x", "ACCOUNT": "key", "SECRET": "very secret", "VIRTUAL_HOSTED": "true"}
    for name, value in given.items():
        monkeypatch.setenv(f"HEADRACE_BUCKETS__MAIN__{name}", value)
    settings = read_settings()
    assert settings.buckets["main"].secret == SecretStr("very secret")
    assert settings.buckets["main"].virtual_hosted
    assert "very secret" not in repr(settings) + settings.model_dump_json()


@pytest.mark.parametrize(("name", "value"), [("URL", "bucket"), ("ENDPOINT", "http://x"), ("SECRT", "x")])
def test_a_wrong_variable_of_a_bucket_names_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_BUCKETS__MAIN__URL", "s3://bucket")
    monkeypatch.setenv(f"HEADRACE_BUCKETS__MAIN__{name}", value)
    with pytest.raises(InvalidSetting, match="HEADRACE_BUCKETS__MAIN"):
        read_settings()


def test_an_endpoint_without_encryption_has_to_be_asked_for() -> None:
    BucketAccess(url="s3://bucket", endpoint="http://127.0.0.1:9", allow_http=True)
    with pytest.raises(ValidationError):
        BucketAccess(url="s3://bucket", endpoint="ftp://127.0.0.1:9", allow_http=True)
