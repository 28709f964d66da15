"""Writes one seccomp program per architecture beside this file (needs Debian's python3-seccomp; the product does not).

Default is allow: a guest runs strangers' programs. What is refused here is the kernel surface that ordinary programs
never touch and break-outs begin with.
"""

import errno
import os
from seccomp import ALLOW, ERRNO, MASKED_EQ, EQ, Arch, Arg, SyscallFilter

REFUSED = """
ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_getfd
mount umount umount2 pivot_root chroot move_mount open_tree open_tree_attr fsopen fsconfig fsmount fspick mount_setattr
unshare setns bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register
add_key request_key keyctl kexec_load kexec_file_load init_module finit_module delete_module create_module
open_by_handle_at name_to_handle_at lookup_dcookie fanotify_init swapon swapoff reboot acct quotactl quotactl_fd
settimeofday clock_settime clock_settime64 clock_adjtime clock_adjtime64 adjtimex stime syslog _sysctl sysfs uselib ustat nfsservctl
sethostname setdomainname iopl ioperm modify_ldt vm86 vm86old personality move_pages migrate_pages mbind set_mempolicy
""".split()

CLONE_NEWUSER = 0x10000000
TIOCSTI, TIOCLINUX = 0x5412, 0x541C
AF_ALG, AF_VSOCK = 38, 40  # neither is confined by a network namespace


def generate(name: str, arch: Arch) -> None:
    rules = SyscallFilter(ALLOW)
    if not rules.exist_arch(arch):
        rules.add_arch(arch)
        rules.remove_arch(Arch.NATIVE)
    for call in REFUSED:
        try:
            rules.add_rule(ERRNO(errno.EPERM), call)
        except (RuntimeError, ValueError):
            pass  # this architecture or library does not know it
    # The flags of clone3 are behind a pointer: glibc falls back to clone.
    rules.add_rule(ERRNO(errno.ENOSYS), "clone3")
    rules.add_rule(ERRNO(errno.EPERM), "clone", Arg(0, MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER))
    for request in (TIOCSTI, TIOCLINUX):
        rules.add_rule(ERRNO(errno.EPERM), "ioctl", Arg(1, MASKED_EQ, 0xFFFFFFFF, request))
    for family in (AF_ALG, AF_VSOCK):
        rules.add_rule(ERRNO(errno.EAFNOSUPPORT), "socket", Arg(0, EQ, family))
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.bpf"), "wb") as out:
        rules.export_bpf(out)


generate("x64", Arch.X86_64)
generate("arm64", Arch.AARCH64)
