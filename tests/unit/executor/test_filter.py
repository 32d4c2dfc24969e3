"""The filter of system calls as a program: the kernel decides by it, so what it answers is read out of it here."""

import errno
import struct
from collections.abc import Mapping
from ctypes.util import find_library
from typing import Any

import pytest

from headrace.executor import _filter
from headrace.executor._filter import compiled
from headrace.executor._seccomp import profile

ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x00000000
X86_64 = 0xC000003E

pytestmark = pytest.mark.skipif(find_library("seccomp") is None, reason="libseccomp is not installed")


def answer(program: bytes, call: int, *arguments: int, architecture: int = X86_64) -> int:
    """What the kernel would do: the few instructions that such programs are made of, run over one call."""
    data = struct.pack("<IIQ6Q", call, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    accumulator = place = 0
    while True:
        code, if_true, if_false, value = struct.unpack_from("<HBBI", program, place * 8)
        place += 1
        if code == 0x06:  # return
            return int(value)
        if code == 0x20:  # load
            accumulator = struct.unpack_from("<I", data, value)[0]
        elif code == 0x54:  # and
            accumulator &= value
        elif code == 0x05:  # jump
            place += value
        else:
            holds = {0x15: accumulator == value, 0x25: accumulator > value, 0x35: accumulator >= value}[code]
            place += if_true if holds else if_false


def rules(*syscalls: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": errno.ENOSYS,
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": list(syscalls),
    }


def when(index: int, op: str, value: int, masked: int = 0) -> dict[str, Any]:
    return {"index": index, "op": f"SCMP_CMP_{op}", "value": value, "valueTwo": masked}


def program(*syscalls: Mapping[str, Any]) -> bytes:
    made = compiled(rules(*syscalls))
    assert made is not None
    return made


READ, OPEN, MOUNT, SOCKET, CLONE = 0, 2, 165, 41, 56


def test_a_call_is_answered_as_its_rule_says_and_without_a_rule_by_the_default() -> None:
    made = program(
        {"names": ["read", "no_such_call"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EPERM},
        {"names": ["open"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS},
    )
    assert answer(made, READ) == ALLOW
    assert answer(made, MOUNT) == ERRNO | errno.EPERM
    assert answer(made, OPEN) == answer(made, 9999) == ERRNO | errno.ENOSYS


def test_arguments_decide_where_the_rule_asks_for_them() -> None:
    flag = 0x10000000
    made = program(
        {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [when(0, "EQ", 16), when(2, "EQ", 0)]},
        {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [when(0, "MASKED_EQ", flag, 0)]},
    )
    assert answer(made, SOCKET, 16, 3, 0) == ALLOW
    assert answer(made, SOCKET, 16, 3, 4) == answer(made, SOCKET, 17, 3, 0) == ERRNO | errno.ENOSYS
    assert answer(made, CLONE, 0x11) == ALLOW
    assert answer(made, CLONE, flag | 0x11) == ERRNO | errno.ENOSYS


def test_who_calls_by_another_door_is_killed() -> None:
    made = program({"names": ["read"], "action": "SCMP_ACT_ALLOW"})
    assert answer(made, READ, architecture=0x40000003) == KILL


def test_the_profile_of_sandboxes_is_a_program() -> None:
    made = compiled(profile())
    assert made is not None
    assert len(made) % 8 == 0
    pinned = compiled(profile(pinned=True))
    assert pinned not in (None, made)


def test_without_the_library_the_runtime_is_left_to_do_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_filter, "_LIBRARY", "libseccomp.so.0")
    assert compiled(profile()) is None
