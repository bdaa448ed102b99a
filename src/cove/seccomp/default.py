"""The profile of containers that name none: equal in effect to Docker's, as of the middle of 2026.

What is not named fails with EPERM. Left out are calls that reach beyond the container (modules, clocks, keyrings,
mounts, io_uring, tracing of the kernel), and those that make namespaces, which have been the way into most holes of
the kernel. What a capability is for is allowed to those who have it.
"""

from cove.seccomp.profile import Architecture, Argument, Call, Condition, Profile

_ALLOW = "SCMP_ACT_ALLOW"
_EPERM, _ENOSYS = 1, 38

_SOCKETS = (
    "accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64 "
    "recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair"
)
_WAITING = (
    "epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old "
    "eventfd eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch _newselect "
    "pause poll ppoll ppoll_time64 pselect6 pselect6_time64 select signalfd signalfd4 timerfd_create "
    "timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64"
)
_TIME = (
    "adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 "
    "clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time timer_create "
    "timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 times"
)
_IPC = (
    "ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 "
    "mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt "
    "shmget"
)
_MEMORY = (
    "brk cachestat madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall "
    "mmap mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect "
    "process_mrelease remap_file_pages"
)
_SIGNALS = (
    "kill pidfd_send_signal rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend "
    "rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn tgkill tkill"
)
_IDENTITY = (
    "capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid "
    "getresgid32 getresuid getresuid32 getuid getuid32 landlock_add_rule landlock_create_ruleset "
    "landlock_restrict_self seccomp setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 "
    "setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setuid setuid32 umask"
)
_PROCESSES = (
    "execve execveat exit exit_group fork futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake "
    "getcpu getpgid getpgrp getpid getppid getpriority getrandom getrlimit get_robust_list getrusage getsid "
    "get_thread_area gettid ioprio_get ioprio_set pidfd_open prctl prlimit64 restart_syscall riscv_hwprobe rseq "
    "sched_getaffinity sched_getattr sched_getparam sched_get_priority_max sched_get_priority_min "
    "sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr "
    "sched_setparam sched_setscheduler sched_yield setpgid setpriority setrlimit set_robust_list setsid "
    "set_thread_area set_tid_address sysinfo ugetrlimit uname uretprobe vfork wait4 waitid waitpid"
)
_FILES = (
    "access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 "
    "fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 "
    "fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync "
    "ftruncate ftruncate64 futimesat getcwd getdents getdents64 getxattr getxattrat io_cancel ioctl io_destroy "
    "io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit lchown lchown32 lgetxattr link linkat "
    "listmount listxattr listxattrat llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64 mkdir mkdirat "
    "mknod mknodat name_to_handle_at newfstatat open openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64 "
    "pwritev pwritev2 read readahead readlink readlinkat readv removexattr removexattrat rename renameat "
    "renameat2 rmdir sendfile sendfile64 setxattr setxattrat splice stat stat64 statfs statfs64 statmount statx "
    "symlink symlinkat sync sync_file_range syncfs tee truncate truncate64 unlink unlinkat utime utimensat "
    "utimensat_time64 utimes vmsplice write writev"
)

_FAMILIES = (*range(1, 12), *range(13, 19), 21, 22, 24, *range(26, 34), 35, 36, 39, *range(41, 46))
"""Those of socket(2) (linux/socket.h). Not AF_VSOCK (40), which reaches the hypervisor and its guests from any network
namespace, not AF_ALG (38), whose holes no container needs, and not those that the kernel has given up."""

_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
"""PER_LINUX, PER_LINUX32, UNAME26, both, and the question which one it is."""

_NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET."""

_BY_CAPABILITY = {
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_SYS_ADMIN": "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr "
    "lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd "
    "setdomainname sethostname setns syslog umount umount2 unshare",
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module finit_module init_module",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    "CAP_SYS_RAWIO": "ioperm iopl",
    "CAP_SYS_TIME": "clock_settime clock_settime64 settimeofday stime",
    "CAP_SYS_TTY_CONFIG": "vhangup",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYSLOG": "syslog",
    "CAP_BPF": "bpf",
    "CAP_PERFMON": "perf_event_open",
}

_BY_ARCHITECTURE = {
    ("amd64", "x32"): "arch_prctl",
    ("amd64", "x32", "x86"): "modify_ldt",
    ("arm", "arm64"): "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2",
    ("ppc64le",): "swapcontext sync_file_range2",
    ("riscv64",): "riscv_flush_icache",
    ("s390", "s390x"): "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr",
}

_SUB_ARCHITECTURES = {
    "X86_64": "X86 X32",
    "AARCH64": "ARM",
    "MIPS64": "MIPS MIPS64N32",
    "MIPS64N32": "MIPS MIPS64",
    "MIPSEL64": "MIPSEL MIPSEL64N32",
    "MIPSEL64N32": "MIPSEL MIPSEL64",
    "S390X": "S390",
    "RISCV64": "",
    "LOONGARCH64": "",
}
"""Interfaces of 32 bits that a kernel of 64 serves as well."""

_S390 = ["s390", "s390x"]


def _allow(names: str, includes: Condition | None = None) -> Call:
    return Call(_ALLOW, names.split(), includes=includes)


def _only(name: str, value: int) -> Call:
    return Call(_ALLOW, [name], args=[Argument(0, value, "SCMP_CMP_EQ")])


def _threads(index: int, includes: Condition | None, excludes: Condition) -> Call:
    """clone(2) without new namespaces; ``index``: of its flags."""
    argument = Argument(index, _NEW_NAMESPACES, "SCMP_CMP_MASKED_EQ")
    return Call(_ALLOW, ["clone"], args=[argument], includes=includes, excludes=excludes)


def _calls() -> list[Call]:
    everyone = (_FILES, _SOCKETS, _WAITING, _TIME, _IPC, _MEMORY, _SIGNALS, _IDENTITY, _PROCESSES)
    admin = Condition(caps=["CAP_SYS_ADMIN"])
    return [
        _allow(" ".join(everyone)),
        _allow("process_vm_readv process_vm_writev ptrace", Condition(min_kernel="4.8")),  # before it, a way around
        *(_only("socket", family) for family in _FAMILIES),
        *(_only("personality", value) for value in _PERSONALITIES),
        *(_allow(names, Condition(arches=list(arches))) for arches, names in _BY_ARCHITECTURE.items()),
        *(_allow(names, Condition(caps=[capability])) for capability, names in _BY_CAPABILITY.items()),
        _threads(0, None, Condition(caps=["CAP_SYS_ADMIN"], arches=_S390)),
        _threads(1, Condition(arches=_S390), admin),
        # Its flags are behind a pointer, where no filter looks: the C library falls back to clone.
        Call("SCMP_ACT_ERRNO", ["clone3"], errno_ret=_ENOSYS, excludes=admin),
    ]


DEFAULT = Profile(
    default_action="SCMP_ACT_ERRNO",
    default_errno_ret=_EPERM,
    arch_map=[
        Architecture(f"SCMP_ARCH_{name}", [f"SCMP_ARCH_{other}" for other in others.split()])
        for name, others in _SUB_ARCHITECTURES.items()
    ],
    syscalls=_calls(),
)
