"""
How long a plan takes: every example and every sample project, and one with thousands of files.

    .venv/bin/python benchmarks/planning.py [DIRECTORY …]

Directories given are planned too. The time is that of `make_plan` over files on disk, with the walk through the directory.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from headrace.errors import StepFailed
from headrace.model.project import ProjectSettings
from headrace.plan.limits import PlanLimits
from headrace.plan.planner import make_plan
from headrace.plan.project_files import DirectoryFiles

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "tests" / "acceptance" / "frameworks" / "samples.json"
TIMES = 20
LIMIT_MS = 20.0


def main() -> int:
    with tempfile.TemporaryDirectory() as place:
        projects = {path.name: path for path in sorted((ROOT / "examples").iterdir()) if path.is_dir()}
        projects |= {Path(name).name: Path(name) for name in sys.argv[1:]}
        projects |= _written(Path(place))
        measured = {name: _milliseconds(path) for name, path in projects.items()}
    for name, (framework, median, worst) in sorted(measured.items(), key=lambda row: -row[1][1]):
        print(f"{name:24} {framework:18} {median:7.2f} ms   worst {worst:7.2f} ms")
    medians = [median for _, median, _ in measured.values()]
    print(
        f"{len(medians)} projects: median {statistics.median(medians):.2f} ms, slowest {max(medians):.2f} ms, limit {LIMIT_MS:.0f} ms"
    )
    return 0 if max(medians) <= LIMIT_MS else 1


def _written(place: Path) -> dict[str, Path]:
    projects = {}
    for name, sample in json.loads(SAMPLES.read_text()).items():
        projects[f"sample {name}"] = place / name
        for path, text in sample["files"].items():
            (place / name / path).parent.mkdir(parents=True, exist_ok=True)
            (place / name / path).write_text(text)
    large = place / "large"
    for number in range(3000):
        directory = large / "src" / f"part{number % 100}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"file{number}.ts").write_text("export {}\n")
    (large / "package.json").write_text('{"scripts": {"build": "vite build"}, "devDependencies": {"vite": "8"}}')
    return {**projects, "3000 files": large}


def _milliseconds(directory: Path) -> tuple[str, float, float]:
    times, framework = [], "refused"
    for _ in range(TIMES):
        started = time.perf_counter()
        try:
            framework = make_plan(DirectoryFiles(directory), ProjectSettings(), PlanLimits()).framework
        except StepFailed:
            framework = "refused"
        times.append((time.perf_counter() - started) * 1000)
    return framework, statistics.median(times), max(times)


if __name__ == "__main__":
    sys.exit(main())
