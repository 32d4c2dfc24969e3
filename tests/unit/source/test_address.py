import socket
import threading
import time
from collections.abc import Collection

import pytest

from headrace.egress import lookup
from headrace.errors import InvalidInput, StepFailed
from headrace.model.diagnostic import FailureReason
from headrace.source._address import addresses_of, is_public, resolve_option
from headrace.source._remote import parse_remote
from headrace.source._stop import Stop, Stopped

REMOTE = parse_remote("https://git.example/r")


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1"),
        *("169.254.169.254", "192.0.0.192", "168.63.129.16", "224.0.0.1", "255.255.255.255", "198.18.0.1"),
        *("::1", "::", "fc00::1", "fd12::1", "fe80::1", "fe80::1%eth0", "::ffff:127.0.0.1", "::ffff:8.8.8.8"),
        *("64:ff9b::7f00:1", "2002:7f00:1::", "2001::1", "ff02::1", "2001:db8::1"),
    ],
)
def test_an_address_that_is_not_on_the_internet_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["140.82.121.4", "1.1.1.1", "172.32.0.1", "2606:50c0:8000::153", "2a00:1450::1"])
def test_an_address_on_the_internet_is_public(address: str) -> None:
    assert is_public(address)


def test_one_private_address_among_public_ones_refuses_the_host() -> None:
    with pytest.raises(InvalidInput) as caught:
        addresses_of(REMOTE, (), Stop(), lambda host, port: ["140.82.121.4", "::1"])
    assert caught.value.exact_code == "source.address_forbidden"


def test_a_host_that_the_operator_listed_may_be_anywhere() -> None:
    found = addresses_of(REMOTE, ("GIT.example",), Stop(), lambda host, port: ["10.0.0.7"])
    assert found == ("10.0.0.7",)


def test_an_allowed_host_does_not_allow_its_neighbours() -> None:
    other = parse_remote("https://evil.git.example/r")
    with pytest.raises(InvalidInput):
        addresses_of(other, ("git.example",), Stop(), lambda host, port: ["10.0.0.7"])


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (socket.EAI_NONAME, FailureReason.SOURCE_NOT_FOUND),
        (socket.EAI_AGAIN, FailureReason.SOURCE_UNREACHABLE),
    ],
)
def test_a_host_without_an_address_is_a_result(number: int, reason: FailureReason) -> None:
    def fail(host: str, port: int) -> Collection[str]:
        raise socket.gaierror(number, "no")

    with pytest.raises(StepFailed) as caught:
        addresses_of(REMOTE, (), Stop(), fail)
    assert caught.value.failure.reason is reason


def test_a_host_with_no_address_at_all_is_refused() -> None:
    with pytest.raises(StepFailed):
        addresses_of(REMOTE, ("git.example",), Stop(), lambda host, port: [])


def test_a_silent_name_server_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "LOOKUP_SECONDS", 0.2)
    ended = threading.Event()

    def silent(host: str, port: int) -> Collection[str]:
        ended.wait(20)
        return ["1.1.1.1"]

    started = time.monotonic()
    with pytest.raises(StepFailed, match="dns_failure"):
        addresses_of(REMOTE, (), Stop(), silent)
    assert time.monotonic() - started < 5
    ended.set()


def test_a_lookup_ends_when_the_work_is_asked_to() -> None:
    stop, ended = Stop(), threading.Event()
    threading.Timer(0.1, stop.ask).start()
    with pytest.raises(Stopped):
        addresses_of(REMOTE, (), stop, lambda host, port: ["1.1.1.1"] if ended.wait(20) else [])
    ended.set()


def test_the_connection_is_tied_to_the_addresses_that_were_checked() -> None:
    remote = parse_remote("https://git.example:8443/r")
    assert resolve_option(remote, ["1.1.1.1", "2606:50c0::1"]) == "git.example:8443:1.1.1.1,[2606:50c0::1]"
