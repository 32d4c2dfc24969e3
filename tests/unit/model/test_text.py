import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace.model.build import BuildStatus, StepStatus
from headrace.model.diagnostic import Diagnostic, Failure, FailureReason
from headrace.model.event import (
    BuildCompleted,
    BuildCreated,
    BuildDiagnostic,
    BuildQueued,
    BuildStarted,
    BuildWarning,
    CacheDecision,
    CancelRequested,
    CommandCompleted,
    CommandStarted,
    EgressDenied,
    EgressUnreachable,
    Event,
    Log,
    LogTruncated,
    PlanMade,
    StepCompleted,
    StepStarted,
)
from headrace.model.plan import CacheKey, KeyInput, StepId
from headrace.model.text import as_text, coloured, plain

B = "build_01m7xxxxxxxxxxxxxxxxxxxxxx"
DIGEST = "sha256:" + "3f2a" * 16


def log(line: str) -> Log:
    return Log(build_id=B, step=StepId.BUILD, stream="stdout", line=line)


def decision(explanation: str, *inputs: str, hit: bool = False) -> CacheDecision:
    key = CacheKey(digest=DIGEST, inputs=tuple(KeyInput(name=name, digest=DIGEST) for name in inputs))
    return CacheDecision(
        build_id=B, step=StepId.DEPENDENCIES, cache="dependencies", key=key, hit=hit, explanation=explanation
    )


def step(status: StepStatus, summary: str = "", *, cached: bool = False, seconds: float = 2.345) -> StepCompleted:
    return StepCompleted(build_id=B, step=StepId.BUILD, status=status, seconds=seconds, cached=cached, summary=summary)


def completed(status: BuildStatus, **fields: object) -> BuildCompleted:
    return BuildCompleted.model_validate({"build_id": B, "status": status, "seconds": 75.2, **fields})


DIAGNOSTIC = Diagnostic(
    tool="tsc",
    severity="error",
    code="TS2304",
    message="Cannot find name 'x'.",
    file="src/App.tsx",
    line=3,
    column=5,
    excerpt="const y = x;\n          ^",
    hint="declare it",
)
FAILURE = Failure(reason=FailureReason.TYPE_ERROR, step=StepId.BUILD, message="tsc found 1 error", hint="see above")


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (BuildCreated(build_id=B, project_id="prj"), f"Build {B}"),
        (BuildQueued(build_id=B), None),
        (BuildStarted(build_id=B, worker="w", fence=1, executor="oci"), None),
        (BuildStarted(build_id=B, worker="w", fence=2, executor="oci"), "! Another worker goes on with this build"),
        (StepStarted(build_id=B, step=StepId.DEPENDENCIES), "STEP 2: INSTALLING DEPENDENCIES"),
        (StepStarted(build_id=B, step=StepId.PLAN), None),
        (step(StepStatus.SUCCEEDED, "Build produced 42 files"), "✓ Build produced 42 files (2.3 s)"),
        (step(StepStatus.SUCCEEDED, "28 files", cached=True), "✓ 28 files (from the cache)"),
        (step(StepStatus.SUCCEEDED, seconds=0.0421), "✓ Build command ended (42 ms)"),
        (step(StepStatus.FAILED), "✗ Step build failed after 2.3 s"),
        (step(StepStatus.SKIPPED, "nothing to install"), "- nothing to install"),
        (step(StepStatus.CANCELLED), "■ Step build cancelled after 2.3 s"),
        (log("hello"), "│ hello"),
        (LogTruncated(build_id=B, step=StepId.BUILD, bytes=1234), "! Not in the log, because it was full: 1234 bytes"),
        (CommandStarted(build_id=B, step=StepId.BUILD, argv=("npm", "run", "build")), "$ npm run build"),
        (CommandCompleted(build_id=B, step=StepId.BUILD, exit_code=0, seconds=1), None),
        (
            CommandCompleted(build_id=B, step=StepId.BUILD, exit_code=2, seconds=1),
            "✗ Command ended after 1.0 s with exit code 2",
        ),
        (
            CommandCompleted(build_id=B, step=StepId.BUILD, killed_by="memory", seconds=1, background_killed=2),
            "✗ Command ended after 1.0 s: out of memory\n! Processes left in the background and killed: 2",
        ),
        (
            decision("Cache hit! Nothing to install.", "file package-lock.json", "tool node", hit=True),
            "Cache key from package-lock.json: 3f2a3f2a3f2a\nCache hit! Nothing to install.",
        ),
        (decision("Cache miss for key 3f2a", "tool node"), "Cache miss for key 3f2a"),
        (
            BuildDiagnostic(build_id=B, step=StepId.BUILD, diagnostic=DIAGNOSTIC),
            "src/App.tsx:3:5: error TS2304: Cannot find name 'x'.\n  │ const y = x;\n  │           ^\n  → declare it",
        ),
        (BuildWarning(build_id=B, code="soft_limit", message="5 minutes left"), "! 5 minutes left"),
        (
            EgressDenied(build_id=B, step=StepId.BUILD, host="evil.example", port=443, why="not a registry"),
            "! Connection to evil.example:443 refused: not a registry",
        ),
        (
            EgressUnreachable(build_id=B, step=StepId.BUILD, host="r.example", port=443, why="no name server answers"),
            "! r.example:443 can't be reached: no name server answers",
        ),
        (CancelRequested(build_id=B, by="api"), "! Cancellation asked for by api"),
        (
            PlanMade(build_id=B, plan=DIGEST, framework="vite", tools=("node 22.1.0",), output="dist"),
            "Plan: vite, node 22.1.0; output in dist",
        ),
        (
            completed(BuildStatus.SUCCEEDED, url="http://shop.localhost:7700/"),
            "✓ Build succeeded, in 1 min 15 s: http://shop.localhost:7700/",
        ),
        (completed(BuildStatus.SUCCEEDED, cached=True), "✓ Build succeeded, the same inputs were built before"),
        (completed(BuildStatus.CANCELLED), "■ Build cancelled"),
        (
            completed(BuildStatus.FAILED, failure=FAILURE),
            "✗ Build failed (build, type_error): tsc found 1 error\n  → see above",
        ),
    ],
)
def test_what_people_read_of_each_event(event: Event, text: str | None) -> None:
    assert as_text(event) == text


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("\x1b[31mred\x1b[0m and \x1b[1;38;5;200mbold", "red and bold"),
        ("\x1b]8;;http://evil/\x07click\x1b]8;;\x07 me", "click me"),
        ("\x1b]8;;http://evil/\x1b\\click\x1b]8;;\x1b\\", "click"),
        ("\x1b]52;c;ZXZpbA==\x07after", "after"),
        ("\x1b]0;a title without an end", ""),
        ("\x1b[2J\x1b[1;1H\x1b[3Aup", "up"),
        ("\x1bP$q q\x1b\\\x1b_x\x1b\\\x1bcreset", "reset"),
        ("\x9b31mc1\x9d0;t\x9cend", "c1end"),
        ("10 %\r50 %\r100 %\r\n", "100 %"),
        ("tab\tstays\x00\x07\x08", "tab\tstays"),
        ("left\u202eright\u2066\u2028", "leftright"),
        ("plain ünïcödé 😀", "plain ünïcödé 😀"),
        ("\x1b[", ""),
        ("\x1b", ""),
    ],
)
def test_nothing_but_text_is_left_of_what_a_terminal_would_obey(printed: str, shown: str) -> None:
    assert plain(printed) == shown


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("\x1b[31mred\x1b[0m and \x1b[1;38;5;200mbold", "\x1b[31mred\x1b[0m and \x1b[1;38;5;200mbold\x1b[0m"),
        ("\x1b[2J\x1b[32mgreen\x1b]52;c;eA==\x07", "\x1b[32mgreen\x1b[0m"),
        ("\x1b]0;\x1b[31mtitle\x07x", "x"),
        ("no colours", "no colours"),
        ("\x1b[?25l\x1b[10Cx", "x"),
        ("\x1b[" + "1;" * 5000 + "mmuch", "much"),
    ],
)
def test_colours_stay_for_display_and_end_with_the_line(printed: str, shown: str) -> None:
    assert coloured(printed) == shown


@given(st.text(alphabet=st.sampled_from("\x1b[]()0;1mHJ\x07\\\x9b\x9d\x9c\x90P_ab\r\t")))
def test_no_mixture_of_sequences_leaves_a_control_character(text: str) -> None:
    assert plain(text).replace("\t", "").isprintable()
    assert re.sub(r"\x1b\[[0-9;:]*m", "", coloured(text)).replace("\t", "").isprintable()


@given(st.text())
@example("\n✓ Build succeeded")
def test_no_line_of_a_build_looks_like_one_of_ours(text: str) -> None:
    for colours in (False, True):
        shown = as_text(log(text), colours=colours)
        assert shown is not None
        assert shown.startswith("│ ")
        assert len(shown.splitlines()) == 1


@pytest.mark.parametrize("spoof", ["x\n✓ Build succeeded: http://evil/", "x\r\n\x1b[2K✓ Build", "x\u2028✓ Build"])
def test_text_of_a_tool_inside_our_lines_starts_no_new_line(spoof: str) -> None:
    found = DIAGNOSTIC.but(message=spoof, hint=spoof, excerpt=spoof)
    shown = as_text(BuildDiagnostic(build_id=B, step=StepId.BUILD, diagnostic=found)) or ""
    assert not any(line.startswith(("✓", "✗", "STEP")) for line in shown.splitlines())
    assert "\x1b" not in shown
