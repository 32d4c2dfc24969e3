"""
The list of what a sandbox must keep from whoever runs in it: 58 controls, each with what must hold and how that is shown.

The one place where they are named: the probe, `headrace doctor`, the tests and `docs/security.md` are held to it.
"""

from enum import StrEnum
from typing import NamedTuple


class Chapter(StrEnum):
    IDENTITY = "identity"
    CALLS = "system calls"
    FILES = "files and devices"
    NETWORK = "network"
    RESOURCES = "resources"


class Shown(StrEnum):
    """How a control is shown to hold."""

    #: `_probe` looks from inside, in a sandbox without network and in one with.
    INSIDE = "inside"
    #: `_prove` has it done in a sandbox and looks at how it ended.
    DEED = "deed"
    #: `_host` looks at the machine. What is missing is a warning: it is the operator's machine.
    HOST = "host"
    #: Tests alone: it can't be told from one machine's sandbox in seconds.
    TEST = "test"
    #: Not shown, or not there.
    NOT = "not"


class Control(NamedTuple):
    number: str
    name: str
    must: str
    chapter: Chapter
    shown: tuple[Shown, ...] = (Shown.INSIDE,)
    #: For what tests show: which. For what nothing shows: why.
    where: str = ""

    @property
    def required(self) -> bool:
        """Whether an executor without it is refused."""
        return Shown.INSIDE in self.shown or Shown.DEED in self.shown


_IDENTITY, _CALLS, _FILES, _NETWORK, _RESOURCES = Chapter
_INSIDE, _DEED, _HOST, _TEST, _NOT = Shown

CONTROLS = (
    Control("H1", "no engine's socket", "no socket of Docker, Podman, containerd or the init system, no variable that names one", _IDENTITY),
    Control("H2", "own processes", "a process sees those of its sandbox alone, and can't look at the first one", _IDENTITY),
    Control("H3", "own mounts", "only the mounts that a sandbox needs, none shared with the machine", _IDENTITY),
    Control("H4", "own host name", "a fixed name that can't be changed", _IDENTITY),
    Control("H5", "own shared memory", "no segment, queue or file of the machine or of another sandbox", _IDENTITY),
    Control("H6", "own control group", "its root is its own group, and no group can be written", _IDENTITY),
    Control("H7", "ids of its own", "its users are no users of the machine, nor of another sandbox", _IDENTITY),
    Control("H8", "nobody with rights", "not root, no way to become it, no set-user-id file that works", _IDENTITY),
    Control("H9", "no new privileges", "no_new_privs is set", _IDENTITY),
    Control("H10", "no capabilities", "effective, permitted, inheritable, bounding and ambient sets are empty", _IDENTITY),
    Control("H11", "no descriptors", "0, 1 and 2 alone, none of them a directory", _IDENTITY),
    Control("H12", "declared variables", "the environment is what was declared; that of the first process can't be read", _IDENTITY),
    Control("H13", "system calls are filtered", "seccomp is in mode 2", _IDENTITY),
    Control("H14", "no mounting", "all nine calls about mounts are refused, clone3 does not exist", _CALLS),
    Control("H15", "no new namespaces", "unshare, setns and clone with such flags are refused", _CALLS),
    Control("H16", "no risky subsystems", "bpf, perf events, io_uring, userfaultfd and fanotify are refused", _CALLS),
    Control("H17", "few socket families", "unix, TCP, UDP and the listing of interfaces; no raw, packet, crypto or firewall sockets", _CALLS),
    Control("H18", "no foreign memory", "ptrace, process_vm_readv and writev, pidfd_getfd, kcmp and the first process's memory are refused", _CALLS),
    Control("H19", "no keyrings", "add_key, request_key and keyctl are refused", _CALLS),
    Control("H20", "no control of the machine", "reboot, kexec, modules, swap, accounting, the kernel's log, clocks and quotas are refused", _CALLS),
    Control("H21", "no opening by handle", "open_by_handle_at is refused", _CALLS),
    Control("H22", "no device nodes", "mknod of a disk and of memory is refused", _CALLS),
    Control("H23", "no terminal", "no descriptor is a terminal, and there is none to get", _CALLS),
    Control("H24", "one way to call the kernel", "int 0x80 and x32 are refused or end whoever tries", _CALLS),
    Control("H25", "known calls only", "the filter is an allowlist: an unknown call does not exist, and addresses stay random", _CALLS),
    Control("H26", "read-only root", "nothing outside the own places can be written", _FILES),
    Control("H27", "hidden parts of /proc", "kernel memory, symbols, keys, timers, interrupts and the like are empty or not there", _FILES),
    Control("H28", "settings of the kernel", "/proc/sys, sysrq and interrupts can't be written", _FILES),
    Control("H29", "no /sys", "there is none, or it is read-only with its dangerous parts hidden", _FILES),
    Control("H30", "few devices", "null, zero, full, random, urandom, tty and pseudo-terminals; no others", _FILES),
    Control("H31", "mount options", "nosuid and nodev everywhere, noexec where programs have no business", _FILES),
    Control("H32", "limited disk", "bytes and files in /tmp and /dev/shm end at the limit; who writes more elsewhere is stopped, also with files without names", _FILES, (_INSIDE, _DEED)),
    Control("H33", "nothing shared to write", "no place that can be written is another sandbox's too", _FILES),
    Control("H34", "nothing is left", "no file, process or memory of another sandbox is seen", _FILES, (_INSIDE, _TEST), "test_executor_isolation.py::test_nothing_of_a_closed_sandbox_is_left_on_the_machine"),
    Control("H35", "no core dumps", "a crash leaves no file, and starts nothing outside even where core_pattern is a pipe", _FILES),
    Control("H36", "links on the machine", "fs.protected_symlinks, hardlinks, fifos and regular are set", _FILES, (_HOST,)),
    Control("H37", "own network", "abstract sockets of the machine and of other sandboxes don't exist", _NETWORK),
    Control("H38", "loopback alone", "the one interface is lo; what is outside is refused at once", _NETWORK),
    Control("H39", "no services of the machine", "what listens on the machine's addresses can't be reached", _NETWORK),
    Control("H40", "no cloud metadata", "its addresses and names, in every notation, are refused, also by the proxy", _NETWORK),
    Control("H41", "no private addresses", "private, shared, local and multicast ranges, and other sandboxes", _NETWORK),
    Control("H42", "no way by IPv6", "the same by version 6, mapped and translated addresses", _NETWORK),
    Control("H43", "named hosts only", "the proxy leads to what was configured and to nothing else; without a network phase there is none", _NETWORK),
    Control("H44", "no resolver", "DNS over UDP, TCP, TLS and HTTPS is out of reach; the proxy resolves what it allows", _NETWORK),
    Control("H45", "no rules to lose", "no firewall rule of the machine keeps anything away: there is no interface and no route", _NETWORK),
    Control("H46", "registries are read", "the proxy passes GET and HEAD of a plain registry alone; inside TLS it sees no method, and a cap on what an install sends is what there is ([network.md](network.md))", _NETWORK),
    Control("H47", "limited traffic", "connections, bytes and bytes sent through the proxy end at a limit", _NETWORK, (_TEST,), "test_executor_egress.py::test_a_command_is_cut_at_its_cap"),
    Control("H48", "nobody comes in", "what listens in a sandbox can't be reached from the machine or from another sandbox", _NETWORK, (_DEED,)),
    Control("H49", "limited memory", "who takes more is ended, with the reason memory; swap does not help", _RESOURCES, (_DEED,)),
    Control("H50", "limited processes", "fork is refused at the limit", _RESOURCES),
    Control("H51", "limited processors", "what calculates gets its part and no more", _RESOURCES),
    Control("H52", "limited block IO", "direct reads and writes keep to HEADRACE_DISK_IO_BYTES, where it is set", _RESOURCES),
    Control("H53", "limited descriptors and file size", "open ends at the limit, and a file can't be larger than the disk limit", _RESOURCES),
    Control("H54", "limited time", "who takes longer is ended, with the reason timeout", _RESOURCES, (_DEED,)),
    Control("H55", "limited log", "what is beyond the cap is counted and dropped, and nobody waits", _RESOURCES, (_DEED,)),
    Control("H56", "limited output", "size, number and kinds of what a build leaves are looked at before it is published", _RESOURCES, (_TEST,), "test_output_reader.py::test_caps_end_the_listing"),
    Control("H57", "complete death", "within 2 s nothing of a tree of stubborn processes is left", _RESOURCES, (_DEED,)),
    Control("H58", "a tidy machine", "swap, page merging, unprivileged BPF, the kernel's log, hyper-threading, the processor's known holes and a security module are as they should be", _RESOURCES, (_HOST,)),
)  # fmt: skip

BY_NUMBER = {control.number: control for control in CONTROLS}
