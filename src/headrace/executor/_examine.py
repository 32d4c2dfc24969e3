"""What `headrace doctor` says of this machine for the oci executor: its parts, then a real sandbox, seen from inside."""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from headrace import linux
from headrace.errors import HeadraceError
from headrace.eventfile import EventFile
from headrace.executor._cgroup import cgroup_mounts
from headrace.model.plan import StepId
from headrace.model.sandbox import Finding, SandboxCommand, SandboxSpec
from headrace.settings import Settings

if TYPE_CHECKING:
    from headrace.executor.oci import OciExecutor

#: Overlays over idmapped layers: what lets layers move between sandboxes.
_KERNEL = (5, 19)
#: Hardening that sandboxes lean on: name, least value, what is open without it.
_SYSCTLS = (
    ("fs.protected_symlinks", 1, "links planted in shared directories are followed"),
    ("fs.protected_hardlinks", 1, "links to other users' files can be made"),
    ("fs.protected_fifos", 1, "FIFOs planted in shared directories are opened"),
    ("fs.protected_regular", 1, "files planted in shared directories are opened"),
    ("kernel.unprivileged_bpf_disabled", 1, "unprivileged programs may load BPF"),
    ("kernel.dmesg_restrict", 1, "the kernel's log is open to everybody"),
)
#: Prints one line for each control that does not hold, and nothing else.
_PROBE = r"""
expect() { [ "$2" = "$3" ] || echo "$1 is $2, not $3"; }
expect "user id" "$(id -u)" 1000
for name in CapEff CapPrm CapBnd; do expect "$name" "$(sed -n "s/^$name:\t//p" /proc/self/status)" 0000000000000000; done
expect "no new privileges" "$(sed -n 's/^NoNewPrivs:\t//p' /proc/self/status)" 1
expect "seccomp" "$(sed -n 's/^Seccomp:\t//p' /proc/self/status)" 2
expect "interfaces" "$(sed -n '3,$s/:.*//p' /proc/net/dev | tr -d ' \n')" lo
(: > /etc/x) 2>/dev/null && echo "the root is writable"
unshare --user true 2>/dev/null && echo "new user namespaces are allowed"
: > /app/x || echo "the working directory is not writable"
exit 0
"""


async def examine(executor: "OciExecutor", settings: Settings) -> Sequence[Finding]:
    findings = [*_user_and_kernel(), *_cgroups(), *_sysctls(), *_memory()]
    sandboxes = [await _real_sandbox(executor)]
    if settings.oci_runtime is None and sandboxes[0].status == "ok":
        runtime = (await executor.machine()).runtime
        findings.insert(0, Finding(subject="runtime", status="ok", detail=runtime.path))
    return [*findings, *sandboxes]


def _user_and_kernel() -> Iterator[Finding]:
    if os.geteuid():
        fix = "run Headrace with sudo, or set HEADRACE_EXECUTOR=process for code that you trust"
        yield Finding(subject="user", status="missing", detail="not root: nothing may be mounted or limited", fix=fix)
    version = linux.kernel_version()
    text = f"{version[0]}.{version[1]}"
    if version < _KERNEL:
        detail = f"{text}: layers need idmapped mounts below overlayfs, which came with 5.19"
        yield Finding(subject="kernel", status="missing", detail=detail, fix="install a kernel of 5.19 or later")
    else:
        yield Finding(subject="kernel", status="ok", detail=text)
    most = Path("/proc/sys/user/max_user_namespaces")
    if most.exists() and most.read_text().strip() == "0":
        fix = "sysctl -w user.max_user_namespaces=15000"
        yield Finding(subject="user namespaces", status="missing", detail="switched off on this machine", fix=fix)


def _cgroups() -> Iterator[Finding]:
    mounts = cgroup_mounts()
    versions = [name for name, there in _versions(mounts).items() if there]
    controllers = {name for mount in mounts for name in mount.controllers}
    for mount in mounts:
        if not mount.controllers:
            controllers |= set(Path(mount.path, "cgroup.controllers").read_text().split())
    wanted = {"memory", "pids", "cpu"}
    if wanted <= controllers:
        yield Finding(subject="control groups", status="ok", detail=" and ".join(versions))
        return
    lacking = ", ".join(sorted(wanted - controllers))
    fix = "mount -t cgroup2 none /sys/fs/cgroup" if not mounts else "boot with systemd.unified_cgroup_hierarchy=1"
    yield Finding(
        subject="control groups", status="missing", detail=f"without {lacking}, limits can't be kept", fix=fix
    )


def _versions(mounts: Sequence[object]) -> dict[str, bool]:
    return {
        "version 1": any(getattr(mount, "controllers", None) for mount in mounts),
        "version 2": any(not getattr(mount, "controllers", None) for mount in mounts),
    }


def _sysctls() -> Iterator[Finding]:
    for name, least, open_door in _SYSCTLS:
        try:
            value = int(Path("/proc/sys", name.replace(".", "/")).read_text())
        except (OSError, ValueError):
            continue
        if value < least:
            fix = f"sysctl -w {name}={least} && echo '{name} = {least}' > /etc/sysctl.d/60-headrace-{name}.conf"
            yield Finding(subject=name, status="warning", detail=f"is {value}: {open_door}", fix=fix)


def _memory() -> Iterator[Finding]:
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if pattern.startswith("|"):
        detail = f"a crash in a sandbox starts {pattern[1:].split()[0]} as root outside"
        yield Finding(
            subject="kernel.core_pattern", status="warning", detail=detail, fix="sysctl -w kernel.core_pattern=core"
        )


async def _real_sandbox(executor: "OciExecutor") -> Finding:
    """Open one, time it, and look around from inside."""
    name = f"doctor-{os.getpid()}"
    with TemporaryDirectory(prefix="headrace-doctor-") as place:
        log = Path(place, "log.ndjson")
        command = SandboxCommand(index=0, step=StepId.BUILD, argv=("/bin/sh", "-c", _PROBE))
        try:
            await executor.machine()
            began = time.perf_counter()
            sandbox = await executor.open(SandboxSpec(id=name, build_id=name, layers=()))
            try:
                result = await sandbox.run(command, log)
            finally:
                await sandbox.close()
            took = time.perf_counter() - began
        except HeadraceError as exc:
            return Finding(subject="sandbox", status="missing", detail=exc.message, fix=exc.hint or "see the message")
        said = b"".join(EventFile(log).read_from()).decode()
    if result.exit_code == 0 and not said:
        detail = f"opened, used and removed in {took * 1000:.0f} ms; every control that was tried holds"
        return Finding(subject="sandbox", status="ok", detail=detail)
    detail = f"a control does not hold: exit code {result.exit_code}, {said}"
    return Finding(subject="sandbox", status="missing", detail=detail, fix="use another runtime: HEADRACE_OCI_RUNTIME")
