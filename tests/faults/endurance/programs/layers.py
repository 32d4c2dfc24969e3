"""Layers that are made, committed and flushed."""

from collections.abc import Sequence
from pathlib import Path

from endurance.programs import begin, promise, ready
from headrace.layers.layers import Layers
from headrace.model.digest import digest_of
from headrace.model.plan import CacheKey, KeyInput


def run(directory: Path, times: int) -> None:
    kept = Layers(directory / "layers", boot="before")
    ready()
    for number in range(times):
        with kept.scratch() as made:
            for part in ("a", "b/c"):
                (made / part).mkdir(parents=True)
                (made / part / "file.js").write_text(f"{part} of {number}\n" * 50)
            kept.commit(_key(number), made, made_by="", seconds=0.1, scope="")
        promise(f"layer {number}")
        if number % 3 == 0:
            kept.settle()
            promise(f"settled {number}")


def check(directory: Path, promised: Sequence[str], *, rebooted: bool) -> None:
    kept = Layers(directory / "layers", boot="after" if rebooted else "before")
    kept.sweep()
    for layer in kept.all():
        assert kept.damaged(layer) is None, f"{layer.key.digest}: {kept.damaged(layer)}; {_bytes(layer.path.parent)}"
        number = int(layer.key.inputs[0].name)
        assert (layer.path / "b/c/file.js").read_text() == f"b/c of {number}\n" * 50
    for line in promised:
        kind, _, name = line.partition(" ")
        # What was not flushed may be lost with the power; never damaged.
        if kind == "settled" or not rebooted:
            assert kept.find(_key(int(name)).digest), f"{line} is gone"
    for part in (".making", ".removed"):
        assert not [entry for entry in (directory / "layers").glob(f"{part}/*") if entry.is_dir()], f"left in {part}"


def _bytes(entry: Path) -> dict[str, bytes]:
    return {str(path.relative_to(entry)): path.read_bytes()[:100] for path in entry.rglob("*") if path.is_file()}


def _key(number: int) -> CacheKey:
    digest = digest_of(f"layer {number}".encode())
    return CacheKey(digest=digest, inputs=(KeyInput(name=str(number), digest=digest),))


if __name__ == "__main__":
    begin(run, check)
