from pathlib import Path

import pytest

from headrace.errors import InvalidSetting
from headrace.settings import api_token, read_settings


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_DATA_DIR", str(tmp_path / "data"))


def test_a_variable_wins_over_the_file_and_an_argument_over_both(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "headrace-server.toml").write_text("port = 1\nclone_seconds = 7\n")
    assert read_settings().port == 1
    monkeypatch.setenv("HEADRACE_PORT", "2")
    assert read_settings().port == 2
    assert read_settings(port=3).port == 3
    assert read_settings().clone_seconds == 7


@pytest.mark.parametrize("value", ["a.example,b.example", " a.example , b.example, "])
def test_names_in_a_variable_have_commas_between_them(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_REGISTRY_HOSTS", value)
    assert read_settings().registry_hosts == ("a.example", "b.example")


def test_names_in_the_file_are_a_list(tmp_path: Path) -> None:
    (tmp_path / "headrace-server.toml").write_text('registry_hosts = ["a.example"]\n')
    assert read_settings().registry_hosts == ("a.example",)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("HEADRACE_PROT", "80", "HEADRACE_PROT"),
        ("HEADRACE_PORT", "eighty", "HEADRACE_PORT"),
        ("HEADRACE_PORT", "99999", "HEADRACE_PORT"),
        ("HEADRACE_TOKEN", "short", "HEADRACE_TOKEN"),
        ("HEADRACE_LOG_LEVEL", "loud", "HEADRACE_LOG_LEVEL"),
    ],
)
def test_a_wrong_variable_names_itself(name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSetting, match=said) as caught:
        read_settings()
    assert caught.value.exit_status == 78


@pytest.mark.parametrize("text", ["prot = 80\n", "port = \n", "port = 'eighty'\n"])
def test_a_wrong_file_is_an_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "headrace-server.toml").write_text(text)
    with pytest.raises(InvalidSetting):
        read_settings()


def test_the_variables_of_the_client_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_URL", "https://headrace.example")
    assert read_settings().port == 7700


def test_the_token_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    settings = read_settings()
    assert api_token(settings) == api_token(settings)
    assert (tmp_path / "data" / "token").stat().st_mode & 0o777 == 0o600


def test_a_configured_token_is_not_written_down(tmp_path: Path) -> None:
    token = "t" * 40
    assert api_token(read_settings(token=token)) == token
    assert not (tmp_path / "data").exists()
