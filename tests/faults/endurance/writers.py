"""Many processes that make the same layer at the same moment, while others use it and somebody removes it."""

import subprocess
import sys
from pathlib import Path

#: argv: root, key, writer, rounds. Waits for a line before each round, and says a line after it: what it found wrong, or nothing.
_WRITER = """
import sys
from pathlib import Path
from headrace.errors import NotFound
from headrace.layers.layers import Layers
from headrace.model.digest import digest_of
from headrace.model.plan import CacheKey, KeyInput

kept, name = Layers(Path(sys.argv[1])), sys.argv[2]
for line in sys.stdin:
    number = line.strip()
    digest = digest_of(f"round {number}".encode())
    key, wrong = CacheKey(digest=digest, inputs=(KeyInput(name="round", digest=digest),)), ""
    # That of the round before: nobody makes it any more, and whoever has it pinned keeps it.
    before = digest_of(f"round {int(number) - 1}".encode())
    try:
        with kept.pin(before) as layer:
            if name == "0":
                kept.remove(before)
            if len(list(layer.path.iterdir())) != 20:
                wrong = "removed while it was pinned"
    except NotFound:
        pass
    with kept.scratch() as made:
        for part in range(20):
            (made / f"{part}.txt").write_text(f"{number} {part}" * 100)
        try:
            kept.commit(key, made, made_by=name, seconds=1, scope="")
        except NotFound:
            pass  # somebody removed it in this moment
    try:
        with kept.pin(digest) as layer:
            if layer.key.digest != digest:
                wrong = "another key"
            for part in range(20):
                if (layer.path / f"{part}.txt").read_text() != f"{number} {part}" * 100:
                    wrong = f"file {part} is not whole"
    except NotFound:
        pass
    print(wrong, flush=True)
"""


def race(root: Path, *, writers: int, rounds: int) -> list[str]:
    """What went wrong, in words."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(root), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(writers)
    ]
    wrong: list[str] = []
    try:
        for number in range(rounds):
            for process in processes:
                assert process.stdin
                process.stdin.write(f"{number}\n")
                process.stdin.flush()
            for process in processes:
                assert process.stdout
                said = process.stdout.readline()
                if said != "\n":
                    wrong.append(f"round {number}: {said.strip() or 'a writer died'}")
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    return wrong
