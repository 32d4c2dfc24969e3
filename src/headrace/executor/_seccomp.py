"""
Which system calls a sandbox may make: an allowlist, as runtimes read it.

What container engines allow by default, less namespaces, mounts, keyrings, tracing, io_uring and whatever else a build
has no use for. Forbidden calls that programs know answer EPERM; unknown ones answer ENOSYS, so that programs fall back
to older ones.
"""

import errno
import platform

_ALLOWED = """
accept accept4 access alarm arch_prctl bind brk cachestat capget capset chdir chmod chown chown32 clock_getres
clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect
copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2
epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 fadvise64_64
fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock
fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue
futex_time64 futex_wait futex_waitv futex_wake futimesat get_robust_list get_thread_area getcpu getcwd getdents
getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid
getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid
getsockname getsockopt gettid gettimeofday getuid getuid32 getxattr inotify_add_watch inotify_init inotify_init1
inotify_rm_watch ioctl ioprio_get ioprio_set ipc kill lchown lchown32 landlock_add_rule landlock_create_ruleset
landlock_restrict_self lgetxattr link linkat listen listxattr llistxattr
_llseek lremovexattr lseek lsetxattr lstat lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret mincore
mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive
mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock
munlockall munmap name_to_handle_at nanosleep newfstatat _newselect open openat openat2 pause pidfd_open
pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2
process_mrelease pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv
recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr rename renameat renameat2 restart_syscall
rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_getaffinity sched_getattr sched_getparam sched_get_priority_max
sched_get_priority_min sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity
sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop semtimedop_time64 send
sendfile sendfile64 sendmmsg sendmsg sendto setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups
setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid
setreuid32 set_robust_list setsid setsockopt set_thread_area set_tid_address setuid setuid32 setxattr shmat
shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn socketpair splice stat stat64 statfs
statfs64 statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete
timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink
unlinkat utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev
arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2
"""

#: Known, and not allowed: EPERM says so, where ENOSYS would say that the kernel is old.
_FORBIDDEN = """
acct add_key adjtimex bpf chroot clock_adjtime clock_adjtime64 clock_settime clock_settime64 create_module delete_module
fanotify_init finit_module fsconfig fsmount fsopen fspick init_module io_uring_enter io_uring_register io_uring_setup
ioperm iopl kcmp kexec_file_load kexec_load keyctl lookup_dcookie mount mount_setattr move_mount move_pages mbind
nfsservctl open_by_handle_at open_tree perf_event_open pidfd_getfd pivot_root process_madvise process_vm_readv
process_vm_writev ptrace quotactl quotactl_fd reboot request_key set_mempolicy setdomainname sethostname setns
settimeofday stime swapoff swapon syslog umount umount2 unshare userfaultfd uselib vhangup
"""

#: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
_NAMESPACE_FLAGS = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_NETLINK_ROUTE = 0
_SOCK_STREAM, _SOCK_DGRAM, _SOCK_RAW, _TYPE_MASK = 1, 2, 3, 0xF
#: Personalities that change nothing that protects: Linux, 32 bit, old names, asking for the present one.
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
_ADDR_NO_RANDOMIZE = 0x40000
_RLIMIT_CORE = 4

#: The machine's own architecture and no other: a program that calls the kernel by an older door (32 bit, x32) is killed. On 32
#: bit x86 one call makes sockets of every kind, and no filter can look at its arguments.
_ARCHITECTURES = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}


_CHOOSE_PROCESSORS = "sched_setaffinity"


def _when(index: int, op: str, value: int, masked: int = 0) -> dict[str, object]:
    return {"index": index, "op": f"SCMP_CMP_{op}", "value": value, "valueTwo": masked}


def _allow(name: str, *conditions: dict[str, object]) -> dict[str, object]:
    return {"names": [name], "action": "SCMP_ACT_ALLOW", "args": list(conditions)}


def _refuse(name: str, number: int, *conditions: dict[str, object]) -> dict[str, object]:
    return {"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": number, "args": list(conditions)}


def _clone() -> list[dict[str, object]]:
    every = sum(_NAMESPACE_FLAGS)
    return [
        _allow("clone", _when(0, "MASKED_EQ", every, 0)),
        *(_refuse("clone", errno.EPERM, _when(0, "MASKED_EQ", flag, flag)) for flag in _NAMESPACE_FLAGS),
        # Its flags are behind a pointer, where no filter can look; libc then uses clone.
        _refuse("clone3", errno.ENOSYS),
    ]


def _sockets() -> list[dict[str, object]]:
    """
    Unix sockets of every kind; streams and datagrams of IP; the part of netlink that lists interfaces. The rest gets the
    filter's default.
    """
    rules = [
        _allow("socket", _when(0, "EQ", _AF_UNIX)),
        _allow("socket", _when(0, "EQ", _AF_NETLINK), _when(2, "EQ", _NETLINK_ROUTE)),
    ]
    for family in (_AF_INET, _AF_INET6):
        rules += [
            _allow("socket", _when(0, "EQ", family), _when(1, "MASKED_EQ", _TYPE_MASK, kind))
            for kind in (_SOCK_STREAM, _SOCK_DGRAM)
        ]
    return rules


def _limits() -> list[dict[str, object]]:
    """
    Limits may be lowered, but not that of core dumps, see `_spec`: then the call isn't there, which programs that ask to have none
    take for an answer.
    """
    return [
        _allow("setrlimit", _when(0, "NE", _RLIMIT_CORE)),
        _allow("prlimit64", _when(1, "NE", _RLIMIT_CORE)),
        _allow("prlimit64", _when(2, "EQ", 0)),
    ]


def profile(*, pinned: bool = False) -> dict[str, object]:
    """
    The `seccomp` part of a container's configuration for this machine. `pinned`: it may not choose its processors, because
    nothing else keeps it on those that it was given.
    """
    allowed = [name for name in _ALLOWED.split() if not (pinned and name == _CHOOSE_PROCESSORS)]
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": errno.ENOSYS,
        "architectures": [_ARCHITECTURES[machine]] if (machine := platform.machine()) in _ARCHITECTURES else [],
        "syscalls": [
            # ioctl as a whole: what injects into terminals needs one, and a sandbox has only those that it makes itself.
            {"names": allowed, "action": "SCMP_ACT_ALLOW"},
            {"names": _FORBIDDEN.split(), "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EPERM},
            *([_refuse(_CHOOSE_PROCESSORS, errno.EPERM)] if pinned else []),
            *_clone(),
            *_sockets(),
            *_limits(),
            # Space is taken as quickly as it is written, and no quicker, so that whoever watches the disk is in time.
            _refuse("fallocate", errno.EOPNOTSUPP),
            *(_allow("personality", _when(0, "EQ", value)) for value in _PERSONALITIES),
            _refuse("personality", errno.EPERM, _when(0, "EQ", _ADDR_NO_RANDOMIZE)),
        ],
    }
