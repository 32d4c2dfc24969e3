"""Figures, one JSON object on one line each, so that a program can read what a soak measured."""

import json
from collections.abc import Sequence


def figure(name: str, **measured: object) -> None:
    print(json.dumps({"soak": name, **measured}), flush=True)


def percentile(values: Sequence[float], part: float) -> float:
    """Of at least one value; `part` is 0.99 for p99."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]
