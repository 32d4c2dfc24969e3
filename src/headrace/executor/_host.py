"""What `headrace doctor` says of the machine itself: settings that sandboxes lean on, whatever opens them. Warnings, with the fix."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from headrace.model.sandbox import Finding

#: Control, name, least value, what is open without it.
_SYSCTLS = (
    ("H36", "fs.protected_symlinks", 1, "links planted in shared directories are followed"),
    ("H36", "fs.protected_hardlinks", 1, "links to other users' files can be made"),
    ("H36", "fs.protected_fifos", 1, "FIFOs planted in shared directories are opened"),
    ("H36", "fs.protected_regular", 1, "files planted in shared directories are opened"),
    ("H58", "kernel.unprivileged_bpf_disabled", 1, "unprivileged programs may load BPF"),
    ("H58", "kernel.dmesg_restrict", 1, "the kernel's log is open to everybody"),
)
_OURS = "/etc/sysctl.d/60-headrace.conf"
_SECURITY_MODULES = {"apparmor", "selinux", "smack", "tomoyo"}


def host_findings(root: Path = Path("/")) -> Iterator[Finding]:
    """What is not as it should be. `root` is where /proc and /sys are."""
    yield from _sysctls(root)
    yield from _swap(root)
    yield from _processors(root)
    modules = _read(root / "sys/kernel/security/lsm")
    if modules and not _SECURITY_MODULES & set(modules.split(",")):
        detail = f"none is active (there are: {modules})"
        yield _warning("H58", "security module", detail, "boot with `security=apparmor apparmor=1`, or with SELinux")


def _sysctls(root: Path) -> Iterator[Finding]:
    for control, name, least, open_door in _SYSCTLS:
        value = _read(root / "proc/sys" / name.replace(".", "/"))
        if value.isdigit() and int(value) < least:
            fix = f"echo '{name} = {least}' | sudo tee -a {_OURS} && sudo sysctl -p {_OURS}"
            yield _warning(control, name, f"is {value}: {open_door}", fix)


def _swap(root: Path) -> Iterator[Finding]:
    devices = [line.split()[0] for line in _read(root / "proc/swaps").splitlines()[1:]]
    plain = [device for device in devices if not device.startswith(("/dev/zram", "/dev/dm-", "/dev/mapper/"))]
    if plain:
        detail = f"{', '.join(plain)} is not encrypted: secrets in the service's memory may stay on a disk"
        yield _warning("H58", "swap", detail, "swapoff -a, and take it out of /etc/fstab; or encrypt it")
    if _read(root / "sys/kernel/mm/ksm/run") == "1":
        detail = "equal pages are merged: how long writing takes tells what others have in memory"
        yield _warning("H58", "page merging", detail, "echo 2 > /sys/kernel/mm/ksm/run")


def _processors(root: Path) -> Iterator[Finding]:
    if _read(root / "sys/devices/system/cpu/smt/active") == "1":
        detail = "threads of one core share its caches: strangers' builds may learn from each other's timing"
        fix = "for strangers' code: echo off > /sys/devices/system/cpu/smt/control, and boot with `nosmt`"
        yield _warning("H58", "hyper-threading", detail, fix)
    open_holes = [
        path.name
        for path in sorted((root / "sys/devices/system/cpu/vulnerabilities").glob("*"))
        if _read(path).startswith("Vulnerable")
    ]
    if open_holes:
        detail = f"not mitigated: {', '.join(open_holes)}"
        yield _warning("H58", "processor", detail, "boot without `mitigations=off`; install the processor's microcode")


def _warning(control: str, subject: str, detail: str, fix: str) -> Finding:
    return Finding(subject=subject, status="warning", detail=detail, fix=fix, control=control)


def _read(path: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text().strip()
    return ""
