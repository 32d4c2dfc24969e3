"""
A filter of system calls as the program that the kernel runs, compiled once: a runtime that does it takes milliseconds of every
start of a sandbox. The library that runtimes use does it here too, so it is the same program.
"""

import ctypes
import errno
import os
from collections.abc import Mapping
from typing import Any

_LIBRARY = "libseccomp.so.2"
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_OPERATORS = {"NE": 1, "LT": 2, "LE": 3, "EQ": 4, "GE": 5, "GT": 6, "MASKED_EQ": 7}
_UNKNOWN_CALL = -1


class _Condition(ctypes.Structure):
    _fields_ = (
        ("index", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("value", ctypes.c_uint64),
        ("value_two", ctypes.c_uint64),
    )


def compiled(profile: Mapping[str, Any]) -> bytes | None:
    """
    What `profile`, the `seccomp` part of a container's configuration, says, as a BPF program: 8 bytes an instruction. None where
    the library isn't there or refuses: the runtime is then left to do it, and to say why it can't.
    """
    default = _action(profile["defaultAction"], profile["defaultErrnoRet"])
    try:
        library = _library()
    except OSError:
        return None
    context = library.seccomp_init(default)
    if not context:
        return None
    try:
        for architecture in profile["architectures"]:
            token = library.seccomp_arch_resolve_name(architecture.removeprefix("SCMP_ARCH_").lower().encode())
            _check(library.seccomp_arch_add(context, token), but=errno.EEXIST)
        for rule in profile["syscalls"]:
            _add(library, context, rule, default)
        return _exported(library, context)
    except OSError:
        return None
    finally:
        library.seccomp_release(context)


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(_LIBRARY)
    number, context = ctypes.c_uint32, ctypes.c_void_p
    library.seccomp_init.argtypes, library.seccomp_init.restype = (number,), context
    library.seccomp_release.argtypes, library.seccomp_release.restype = (context,), None
    library.seccomp_arch_resolve_name.restype = number
    library.seccomp_arch_add.argtypes = (context, number)
    library.seccomp_rule_add_array.argtypes = (context, number, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p)
    library.seccomp_export_bpf.argtypes = (context, ctypes.c_int)
    return library


def _add(library: ctypes.CDLL, context: int, rule: Mapping[str, Any], default: int) -> None:
    action = _action(rule["action"], rule.get("errnoRet", errno.EPERM))
    if action == default:
        return  # the library takes it for a mistake
    conditions = [_condition(**given) for given in rule.get("args", ())]
    given = (_Condition * len(conditions))(*conditions)
    for name in rule["names"]:
        call = library.seccomp_syscall_resolve_name(name.encode())
        if call != _UNKNOWN_CALL:
            _check(library.seccomp_rule_add_array(context, action, call, len(conditions), given))


def _action(name: str, number: int) -> int:
    return {"SCMP_ACT_ALLOW": _ALLOW, "SCMP_ACT_ERRNO": _ERRNO | number}[name]


def _condition(*, index: int, op: str, value: int, valueTwo: int) -> _Condition:  # noqa: N803 - as runtimes read it
    return _Condition(index, _OPERATORS[op.removeprefix("SCMP_CMP_")], value, valueTwo)


def _exported(library: ctypes.CDLL, context: int) -> bytes:
    descriptor = os.memfd_create("filter")
    try:
        _check(library.seccomp_export_bpf(context, descriptor))
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    finally:
        os.close(descriptor)


def _check(result: int, *, but: int | None = None) -> None:
    if result < 0 and -result != but:
        raise OSError(-result, os.strerror(-result))
