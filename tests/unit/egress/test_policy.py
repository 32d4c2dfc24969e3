"""Names and addresses that a command may reach, as tables."""

import pytest

from headrace.egress.policy import Denied, Destination, Policy, is_public, parse_authority


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Registry.NPMJS.org", ("registry.npmjs.org", 443)),
        ("registry.npmjs.org.:8080", ("registry.npmjs.org", 8080)),
        ("10.0.0.1:80", ("10.0.0.1", 80)),
        ("[::1]:80", ("::1", 80)),
        ("[0:0::1]", ("::1", 443)),
    ],
)
def test_an_authority_is_read(text: str, wanted: tuple[str, int]) -> None:
    assert tuple(parse_authority(text, 443)) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":443",
        "a b",
        "user@host",
        "host:0",
        "host:65536",
        "host:-1",
        "host:8o",
        "[::1",
        "[::1]x",
        "[x]",
        "h/..",
        "hö",
        "a" * 254,
    ],
)
def test_what_is_no_authority_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - nothing reads the message
        parse_authority(text, 443)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "100.64.0.1", "100.100.100.200", "169.254.169.254", "0.0.0.0",  # noqa: S104
        "224.0.0.1", "255.255.255.255", "192.0.0.192", "168.63.129.16", "198.18.0.1", "240.0.0.1", "::", "::1", "fe80::1%eth0",
        "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "104.16.0.34", "2606:4700::6810:22", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)


def allowed(policy: Policy, host: str, port: int, *addresses: str) -> bool:
    where = Destination(host, port)
    try:
        policy.check_name(where)
        policy.check_addresses(where, addresses)
    except Denied:
        return False
    return True


@pytest.mark.parametrize("phase", ["registries", "git"])
def test_a_phase_reaches_the_configured_hosts_at_any_address_and_no_other(phase: str) -> None:
    policy = Policy(phase, ["registry.npmjs.org", "Mirror.internal:8081", "not a host"])
    assert allowed(policy, "registry.npmjs.org", 443, "10.0.0.5")
    assert allowed(policy, "registry.npmjs.org", 80, "127.0.0.1")
    assert allowed(policy, "mirror.internal", 8081, "192.168.1.1")
    assert not allowed(policy, "registry.npmjs.org", 22, "1.1.1.1")
    assert not allowed(policy, "mirror.internal", 443, "1.1.1.1")
    assert not allowed(policy, "evil.registry.npmjs.org", 443, "1.1.1.1")
    assert not allowed(policy, "1.1.1.1", 443, "1.1.1.1")


def test_the_internet_is_every_name_with_a_public_address() -> None:
    policy = Policy("internet", ["mirror.internal"])
    assert allowed(policy, "example.com", 443, "93.184.216.34")
    assert allowed(policy, "mirror.internal", 443, "10.0.0.5")
    assert not allowed(policy, "example.com", 25, "93.184.216.34")
    assert not allowed(policy, "rebound.example.com", 443, "127.0.0.1", "169.254.169.254")


def test_of_several_addresses_only_the_public_ones_are_connected_to() -> None:
    where = Destination("example.com", 443)
    assert Policy("internet", []).check_addresses(where, ["10.0.0.1", "1.1.1.1"]) == ["1.1.1.1"]
