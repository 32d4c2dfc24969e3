"""The ledger holds what was counted at every moment, in bounded space."""

from pathlib import Path

from headrace.egress.ledger import HOSTS, Ledger, read_ledger


def test_what_was_counted_is_there_without_an_end(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "network")
    row = ledger.connected("registry.example", 443, "left-pad@1.3.0")
    ledger.moved(row, up=10)
    ledger.moved(row, down=2**40)
    assert ledger.connected("registry.example", 443, "") == row
    ledger.refused("evil.example", 443, "")
    reached, refused = read_ledger(tmp_path / "network")
    assert (reached.host, reached.port, reached.package) == ("registry.example", 443, "left-pad@1.3.0")
    assert (reached.connections, reached.refused, reached.bytes_up, reached.bytes_down) == (2, 0, 10, 2**40)
    assert 0 < reached.first_at <= reached.last_at
    assert (refused.host, refused.connections, refused.refused) == ("evil.example", 0, 1)


def test_hosts_beyond_the_bound_are_one_row(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "network")
    for number in range(3 * HOSTS):
        ledger.moved(ledger.connected(f"h{number}.example", 443, ""), down=1)
    rows = read_ledger(tmp_path / "network")
    assert len(rows) == HOSTS + 1
    assert (rows[-1].host, rows[-1].connections, rows[-1].bytes_down) == ("", 2 * HOSTS, 2 * HOSTS)


def test_doors_that_were_only_knocked_at_leave_room_for_what_is_reached(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "network")
    for number in range(10 * HOSTS):
        ledger.refused(f"h{number}.example", 443, "")
    for number in range(HOSTS // 4):
        ledger.connected(f"r{number}.example", 443, "")
    rows = read_ledger(tmp_path / "network")
    assert sum(row.refused for row in rows) == 10 * HOSTS
    assert sum(row.host.startswith("r") for row in rows) == HOSTS // 4


def test_names_of_any_length_fit(tmp_path: Path) -> None:
    Ledger(tmp_path / "network").connected("a" * 253, 65535, "p" * 500)
    (row,) = read_ledger(tmp_path / "network")
    assert (len(row.host), row.port, len(row.package)) == (253, 65535, 128)


def test_a_command_without_a_ledger_reached_nothing(tmp_path: Path) -> None:
    assert read_ledger(tmp_path / "network") == []
    (tmp_path / "network").write_bytes(b"half")
    assert read_ledger(tmp_path / "network") == []
