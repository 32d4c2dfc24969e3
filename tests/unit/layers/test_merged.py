"""What an install changed over another layer is a layer that lacks nothing and has nothing left over."""

import os
from pathlib import Path

from headrace.layers.merged import complete, visible


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def contents(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


def seen(root: Path, *outputs: str) -> frozenset[str]:
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return visible(descriptor, outputs)
    finally:
        os.close(descriptor)


BASE = {"node_modules/a/index.js": "a", "node_modules/b/index.js": "old", "node_modules/gone/x.js": "x"}
END = {"node_modules/a/index.js": "a", "node_modules/b/index.js": "new", "node_modules/c/index.js": "c"}


def test_what_stayed_is_shared_what_changed_is_new_and_what_went_is_gone(tmp_path: Path) -> None:
    base, end = tree(tmp_path / "base", BASE), tree(tmp_path / "end", END)
    written = {name: text for name, text in END.items() if BASE.get(name) != text}
    made = tree(tmp_path / "made", written)
    complete(made, base, seen(end, "node_modules"), ["node_modules"])
    assert contents(made) == END
    assert (made / "node_modules/a/index.js").samefile(base / "node_modules/a/index.js")
    assert contents(base) == BASE


def test_an_output_that_nothing_was_written_to_is_there_and_one_that_was_removed_is_not(tmp_path: Path) -> None:
    base = tree(tmp_path / "base", {"node_modules/a.js": "a", "apps/web/node_modules/b.js": "b"})
    end = tree(tmp_path / "end", {"node_modules/a.js": "a"})
    made = tmp_path / "made"
    made.mkdir()
    outputs = ["node_modules", "apps/web/node_modules"]
    complete(made, base, seen(end, *outputs), outputs)
    assert contents(made) == {"node_modules/a.js": "a"}


def test_links_are_kept_as_links_and_never_followed(tmp_path: Path) -> None:
    base = tree(tmp_path / "base", {"node_modules/.pnpm/a/index.js": "a", "secret": "s"})
    (base / "node_modules/a").symlink_to(".pnpm/a")
    (base / "node_modules/out").symlink_to("../secret")
    made = tmp_path / "made"
    made.mkdir()
    complete(made, base, seen(base, "node_modules"), ["node_modules"])
    assert (made / "node_modules/a").readlink() == Path(".pnpm/a")
    assert (made / "node_modules/out").is_symlink()


def test_a_directory_that_became_a_link_stays_one(tmp_path: Path) -> None:
    base = tree(tmp_path / "base", {"node_modules/a/index.js": "a"})
    made = tmp_path / "made"
    (made / "node_modules").mkdir(parents=True)
    (made / "node_modules/a").symlink_to("../libs/a")
    complete(made, base, seen(made, "node_modules"), ["node_modules"])
    assert (made / "node_modules/a").is_symlink()


def test_times_of_directories_are_those_of_the_first_layer(tmp_path: Path) -> None:
    base = tree(tmp_path / "base", {"node_modules/a/index.js": "a"})
    os.utime(base / "node_modules/a", (1_000_000, 1_000_000))
    made = tmp_path / "made"
    made.mkdir()
    complete(made, base, seen(base, "node_modules"), ["node_modules"])
    assert (made / "node_modules/a").stat().st_mtime == 1_000_000
