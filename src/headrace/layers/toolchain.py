"""
Tool chains from the npm registry, as layers that are mounted at `/opt/headrace/<name>-<version>`.

    node    bin/node. The headers (a third of its size) are left out: the sandbox has no compiler that could use them.
    npm     bin/npm, bin/npx        links to the scripts of the package in lib/node_modules, as in an ordinary installation
    pnpm    bin/pnpm, bin/pnpx      the same; from version 12 on a native program
"""

import asyncio
import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from headrace.errors import InvalidInput, ToolUnavailable
from headrace.layers._package import unpack
from headrace.layers.layers import Layer, Layers
from headrace.model.digest import digest_of
from headrace.model.plan import CacheKey, KeyInput, Tool
from headrace.tree import check_path

if TYPE_CHECKING:
    from headrace.layers._npm_registry import NpmRegistry

MOUNT_ROOT = "/opt/headrace"

#: Rises when the same package is laid out in another way.
_LAYOUT = "1"
_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
_LEFT_OUT: dict[str, tuple[str, ...]] = {"node": ("include/", "share/"), "npm": ("docs/", "man/"), "pnpm": ()}
_NATIVE_PNPM = 12


async def provide(tools: Layers, tool: Tool, registry: str, *, pauses: Sequence[float] = (0.5, 1.0, 2.0)) -> Layer:
    """
    The layer of a tool, fetched from `registry` when it is used for the first time. Processes that ask at the same time share
    one download. `pauses` are the waits between attempts.

    Raises InvalidInput for a version that isn't published (`tool.unknown_version`) or does not have the hash that the project
    pins (`tool.integrity`), ToolUnavailable for everything that isn't the project's fault.
    """
    key = tool_key(tool)
    if layer := tools.find(key.digest):
        tools.touch(key.digest)
        return layer
    async with tools.turn(key.digest):
        if layer := tools.find(key.digest):
            return layer
        from headrace.layers._npm_registry import open_registry  # noqa: PLC0415 - see there

        started = time.monotonic()
        with tools.scratch() as directory:
            async with open_registry(registry, pauses) as opened:
                await _fetch(opened, tool, directory)
            seconds = round(time.monotonic() - started, 3)
            return await asyncio.to_thread(tools.commit, key, directory / "tool", made_by="", seconds=seconds, scope="")


def mount_point(tool: Tool) -> str:
    """Where the layer's tree is inside a sandbox."""
    return f"{MOUNT_ROOT}/{tool.name}-{tool.version}"


def bin_directories(tool: Tool) -> Sequence[str]:
    """What the tool adds to PATH inside a sandbox."""
    return (f"{mount_point(tool)}/bin",)


def tool_key(tool: Tool) -> CacheKey:
    # The pin is part of the key: a layer that was fetched without one has not been compared with it.
    facts = {
        "tool": tool.name,
        "version": tool.version,
        "platform": f"linux-{_machine()}",
        "layout": _LAYOUT,
        "pinned": tool.integrity or "",
    }
    inputs = tuple(KeyInput(name=name, digest=digest_of(value.encode())) for name, value in facts.items())
    return CacheKey(digest=digest_of(json.dumps(facts, sort_keys=True).encode()), inputs=inputs)


async def _fetch(registry: "NpmRegistry", tool: Tool, scratch: Path) -> None:
    """Make `scratch/tool`."""
    native = tool.name == "pnpm" and _major(tool.version) >= _NATIVE_PNPM
    name = {"node": f"node-linux-{_machine()}", "npm": "npm", "pnpm": "pnpm"}[tool.name]
    archive = scratch / "package.tgz"
    if native:
        if tool.integrity:  # projects pin the package `pnpm`, which names the program's package
            await registry.download(await registry.find("pnpm", tool.version), archive, tool.integrity)
        name = f"@pnpm/exe.linux-{_machine()}"
    package = await registry.find(name, tool.version)
    await registry.download(package, archive, None if native else tool.integrity)
    await asyncio.to_thread(_lay_out, tool, native, archive, scratch / "tool")


def _lay_out(tool: Tool, native: bool, archive: Path, into: Path) -> None:
    if tool.name == "node":
        unpack(archive, into, _wanted(tool))
        _require(into / "bin/node", tool)
    elif native:
        unpack(archive, into / "lib/pnpm", _wanted(tool))
        _link_native_pnpm(tool, into)
    else:
        package = into / "lib/node_modules" / tool.name
        unpack(archive, package, _wanted(tool))
        _link_programs(tool, package, into / "bin")


def _wanted(tool: Tool) -> Callable[[str], bool]:
    return lambda path: not path.startswith(_LEFT_OUT[tool.name])


class _Manifest(BaseModel):
    """What is needed of package.json."""

    bin: dict[str, str]


def _link_programs(tool: Tool, package: Path, into: Path) -> None:
    """Links to the scripts that package.json names as programs. They begin with `#!/usr/bin/env node`."""
    programs = _programs(tool, package)
    into.mkdir()
    for name, path in programs.items():
        _require(package / path, tool)
        (package / path).chmod(0o755)
        (into / name).symlink_to(f"../lib/node_modules/{tool.name}/{path}")


def _programs(tool: Tool, package: Path) -> Mapping[str, str]:
    try:
        manifest = _Manifest.model_validate_json((package / "package.json").read_bytes())
        programs = {name: path.removeprefix("./") for name, path in manifest.bin.items()}
        for name, path in programs.items():
            check_path(path)
            check_path(name)
    except (FileNotFoundError, ValidationError, InvalidInput) as exc:
        raise _bad_package(tool, f"has no good package.json: {exc}") from exc
    if tool.name not in programs or any("/" in name for name in programs):
        raise _bad_package(tool, "does not name its programs")
    return programs


def _link_native_pnpm(tool: Tool, into: Path) -> None:
    program = into / "lib/pnpm/pnpm"
    _require(program, tool)
    program.chmod(0o755)
    (into / "bin").mkdir()
    (into / "bin/pnpm").symlink_to("../lib/pnpm/pnpm")
    (into / "bin/pnpx").write_text('#!/bin/sh\nexec "$(dirname -- "$0")/pnpm" dlx "$@"\n')
    (into / "bin/pnpx").chmod(0o755)


def _require(path: Path, tool: Tool) -> None:
    if not path.is_file():
        raise _bad_package(tool, f"lacks {path.name}")


def _bad_package(tool: Tool, why: str) -> ToolUnavailable:
    return ToolUnavailable(f"the package of {tool.name} {tool.version} {why}", code="tool.bad_package")


def _major(version: str) -> int:
    major = version.partition(".")[0]
    return int(major) if major.isdecimal() else 0


def _machine() -> str:
    try:
        return _MACHINES[platform.machine().lower()]
    except KeyError:
        raise ToolUnavailable(
            f"there are no tool chains for {platform.machine()}", hint="use a machine with an x86-64 or ARM64 processor"
        ) from None
