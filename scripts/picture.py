"""
Draw the picture of the README: what a terminal shows at the end of a build, from the build's real events.

    ./headrace logs BUILD --json | .venv/bin/python scripts/picture.py docs/build.svg './headrace up examples/react-vite'
"""

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from headrace.cli.live import BuildView
from headrace.cli.progress import event_of

_FONT = re.compile(r"@font-face \{.*?\}", re.DOTALL)


def picture(lines: list[bytes], command: str) -> str:
    view = BuildView()
    for line in lines:
        if event := event_of(line):
            view.take(event)
    screen = Console(record=True, file=io.StringIO(), force_terminal=True, width=100, legacy_windows=False)
    screen.print(Text(f"$ {command}", style="bold"), view.ended(), sep="\n")
    # The font would be fetched from somewhere else by whoever looks at the page.
    return _FONT.sub("", screen.export_svg(title="headrace"))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(picture(sys.stdin.buffer.read().splitlines(), sys.argv[2]))
