"""Stack traces of the three browser families, as they print them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.preview.stacktrace import Frame, frames_of

HOST = "http://shop.preview.localhost:8080"


@pytest.mark.parametrize(
    ("line", "frame"),
    [
        (f"    at run ({HOST}/src/a.ts:3:9)", Frame("run", f"{HOST}/src/a.ts", 3, 9)),
        (f"    at {HOST}/src/a.ts?t=17:3:9", Frame(None, f"{HOST}/src/a.ts?t=17", 3, 9)),
        (f"    at async load ({HOST}/a.js:3:9)", Frame("load", f"{HOST}/a.js", 3, 9)),
        (f"    at async {HOST}/a.js:3:9", Frame(None, f"{HOST}/a.js", 3, 9)),
        (f"    at new Shop ({HOST}/a.js:3:9)", Frame("new Shop", f"{HOST}/a.js", 3, 9)),
        (f"    at Object.x [as y] ({HOST}/a.js:3:9)", Frame("Object.x", f"{HOST}/a.js", 3, 9)),
        (f"run@{HOST}/a.js:3:9", Frame("run", f"{HOST}/a.js", 3, 9)),
        (f"@{HOST}/a.js:3:9", Frame(None, f"{HOST}/a.js", 3, 9)),
        (f"async*run@{HOST}/a.js:3:9", Frame("run", f"{HOST}/a.js", 3, 9)),
        (f"run/<@{HOST}/node_modules/@x/a.js:3:9", Frame("run/<", f"{HOST}/node_modules/@x/a.js", 3, 9)),
        (f"global code@{HOST}/a.js:3:9", Frame(None, f"{HOST}/a.js", 3, 9)),
        (f"{HOST}/@vite/client:3:9", Frame(None, f"{HOST}/@vite/client", 3, 9)),
    ],
)
def test_a_frame_is_read(line: str, frame: Frame) -> None:
    assert frames_of(f"TypeError: x is not a function\n{line}") == [frame]


@pytest.mark.parametrize(
    "line",
    [
        "TypeError: at last",
        "    at <anonymous>",
        "    at Array.map (<anonymous>)",
        "    at async Promise.all (index 0)",
        f"    at eval (eval at run ({HOST}/a.js:1:2), <anonymous>:1:1)",
        f"run@{HOST}/a.js line 3 > eval:1:1",
        "map@[native code]",
        f"run@{HOST}/a.js",
        "at javascript:alert(1):1:2",
        "file:///etc/passwd:1:2",
    ],
)
def test_what_is_no_script_of_the_page_is_left_out(line: str) -> None:
    assert frames_of(line) == []


def test_a_deep_stack_is_cut() -> None:
    assert len(frames_of(f"at {HOST}/a.js:1:1\n" * 10_000)) == 30


@given(st.text(alphabet=" at()@:/htp1\n<>", max_size=400))
def test_no_text_does_worse_than_having_no_frames(text: str) -> None:
    frames_of(text)
