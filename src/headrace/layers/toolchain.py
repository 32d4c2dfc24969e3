"""
Tool chains from the npm registry, as layers that are mounted at `/opt/headrace/<name>-<version>`.

    node    bin/node. The headers (a third of its size) are left out: the sandbox has no compiler that could use them.
    npm     bin/npm, bin/npx        links to the scripts of the package in lib/node_modules, as in an ordinary installation
    pnpm    bin/pnpm, bin/pnpx      the same; from version 12 on a native program
    yarn    bin/yarn, bin/yarnpkg   the same; from version 2 on of the package @yarnpkg/cli-dist
    bun     bin/bun, bin/bunx       a native program, in a build for processors with or without AVX2
"""

import asyncio
import hashlib
import hmac
import json
import platform
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
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
_LEFT_OUT: dict[str, tuple[str, ...]] = {"node": ("include/", "share/"), "npm": ("docs/", "man/")}
_NATIVE_PNPM = 12
#: From this version on the package `yarn` is only what starts another one.
_BERRY = 2


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


def nested_calls(tools: Collection[Tool]) -> dict[str, str]:
    """
    Variables that keep a package manager, called by a script of a project that names another one or another version, from
    refusing to run or from fetching that one itself.
    """
    own = {
        "COREPACK_ENABLE_DOWNLOAD_PROMPT": "0",
        "COREPACK_ENABLE_STRICT": "0",
        "SKIP_YARN_COREPACK_CHECK": "1",
    }
    if any(tool.name == "pnpm" for tool in tools):
        for prefix in ("npm_config", "pnpm_config"):
            own |= {
                f"{prefix}_manage_package_manager_versions": "false",
                f"{prefix}_package_manager_strict": "false",
                f"{prefix}_pm_on_fail": "ignore",
            }
    return own


def tool_key(tool: Tool) -> CacheKey:
    # The pin is part of the key: a layer that was fetched without one has not been compared with it.
    facts = {
        "tool": tool.name,
        "version": tool.version,
        "platform": f"linux-{_machine()}",
        "layout": _LAYOUT,
        "pinned": tool.integrity or "",
    }
    if tool.name == "bun":
        facts["build"] = _bun_package()
    inputs = tuple(KeyInput(name=name, digest=digest_of(value.encode())) for name, value in facts.items())
    return CacheKey(digest=digest_of(json.dumps(facts, sort_keys=True).encode()), inputs=inputs)


async def _fetch(registry: "NpmRegistry", tool: Tool, scratch: Path) -> None:
    """Make `scratch/tool`."""
    archive = scratch / "package.tgz"
    native = _is_native_pnpm(tool)
    if native and tool.integrity:  # projects pin the package `pnpm`, which names the program's package
        await registry.download(await registry.find("pnpm", tool.version), archive, tool.integrity)
    package = await registry.find(_package_of(tool), tool.version)
    # A pin of the package's file. That of Yarn 2 and later is one of the program inside.
    await registry.download(package, archive, None if native or _is_berry(tool) else tool.integrity)
    await asyncio.to_thread(_lay_out, tool, archive, scratch / "tool")


def _package_of(tool: Tool) -> str:
    """Name of the package that holds the tool for this machine."""
    if tool.name == "node":
        return f"node-linux-{_machine()}"
    if tool.name == "bun":
        return _bun_package()
    if _is_native_pnpm(tool):
        return f"@pnpm/exe.linux-{_machine()}"
    return "@yarnpkg/cli-dist" if _is_berry(tool) else tool.name


def _is_native_pnpm(tool: Tool) -> bool:
    return tool.name == "pnpm" and _major(tool.version) >= _NATIVE_PNPM


def _is_berry(tool: Tool) -> bool:
    return tool.name == "yarn" and _major(tool.version) >= _BERRY


def _bun_package() -> str:
    if _machine() == "arm64":
        return "@oven/bun-linux-aarch64"
    return "@oven/bun-linux-x64" if _has_avx2() else "@oven/bun-linux-x64-baseline"


@cache
def _has_avx2() -> bool:
    try:
        flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags"))
    except (OSError, StopIteration):
        return False
    return "avx2" in flags.split()


def _lay_out(tool: Tool, archive: Path, into: Path) -> None:
    if tool.name == "node":
        unpack(archive, into, _wanted(tool))
        _require(into / "bin/node", tool)
    elif tool.name == "bun":
        unpack(archive, into / "lib/bun", _wanted(tool))
        _link_bun(tool, into)
    elif _is_native_pnpm(tool):
        unpack(archive, into / "lib/pnpm", _wanted(tool))
        _link_native_pnpm(tool, into)
    else:
        package = into / "lib/node_modules" / tool.name
        unpack(archive, package, _wanted(tool))
        _link_programs(tool, package, into / "bin")
        if _is_berry(tool) and tool.integrity:
            _check_program(tool, tool.integrity, into / "bin/yarn")


def _check_program(tool: Tool, pinned: str, program: Path) -> None:
    """Raises InvalidInput when the program does not have the hash that the project pins."""
    algorithm, _, expected = pinned.partition(".")
    if algorithm not in ("sha1", "sha224", "sha256", "sha384", "sha512"):
        raise InvalidInput(f"the hash {pinned[:40]!r} of a tool is not of the form sha512.<hex>", code="tool.integrity")
    with program.open("rb") as file:
        seen = hashlib.file_digest(file, algorithm).hexdigest()
    if not hmac.compare_digest(seen, expected.lower()):
        raise InvalidInput(
            f"{tool.name} {tool.version} does not have the hash that the project pins ({pinned[:24]}…)",
            code="tool.integrity",
            hint="correct the hash behind `+` in packageManager, or remove it",
        )


def _link_bun(tool: Tool, into: Path) -> None:
    program = into / "lib/bun/bin/bun"
    _require(program, tool)
    program.chmod(0o755)
    (into / "bin").mkdir()
    # The program looks at the name that it is called by.
    for name in ("bun", "bunx"):
        (into / "bin" / name).symlink_to("../lib/bun/bin/bun")


def _wanted(tool: Tool) -> Callable[[str], bool]:
    return lambda path: not path.startswith(_LEFT_OUT.get(tool.name, ()))


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
