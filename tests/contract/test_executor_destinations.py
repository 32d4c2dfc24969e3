"""Thirty destinations that no build may reach, by every way there is around the rules: nothing arrives anywhere."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.contract.everywhere import ALLOWED_AT, DESTINATIONS

pytestmark = pytest.mark.sandbox


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a network in which every address is this machine's")
@pytest.mark.parametrize("kind", ["crun"])
def test_nothing_arrives_at_thirty_destinations_by_thirteen_ways(kind: str, tmp_path: Path, base_system: Path) -> None:
    argv = [sys.executable, "-m", "tests.contract.everywhere", kind, str(tmp_path), str(base_system)]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stderr[-4000:]
    said = json.loads(ended.stdout.splitlines()[-1])
    assert (said["exit_code"], said["unseen"]) == (0, []), said["errors"]
    ways = Counter(pair.partition(" by ")[2] for pair in said["came"])
    assert set(ways.values()) == {len(DESTINATIONS)} == {30}
    assert len(ways) == 13
    # Only the one that the operator configured heard anything, and it was asked in every way that leads there too.
    assert set(said["connections"]) == set(said["bytes"]) == {ALLOWED_AT}, said
    assert said["connections"][ALLOWED_AT] == 2 * len(DESTINATIONS)
    through = {pair: answer for pair, answer in said["came"].items() if answer.startswith("HTTP/1.1 2")}
    assert {pair.partition(" by ")[2] for pair in through} == {"in the header of a request"}
    assert said["denied"] > 100
