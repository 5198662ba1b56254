"""What the operating system tells about processes: descendants, memory, processor time; and who dies with whom.

Linux is read through /proc. Elsewhere `ps` answers the same questions more slowly, and a child that detaches itself
is not found again: isolation is "weak" there.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys

LINUX = sys.platform == "linux"
ISOLATION = "full" if LINUX else "weak"

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None


def _prctl(option: int, value: int | bytes) -> None:
    if LINUX and _libc is not None:
        _libc.prctl(option, ctypes.c_char_p(value) if isinstance(value, bytes) else ctypes.c_ulong(value), 0, 0, 0)


def flush_c_streams() -> None:
    """Write out what C code has buffered on its standard streams."""
    if _libc is not None:
        _libc.fflush(None)


def set_name(name: str) -> None:
    """The name that `top` and `ps` show for this process."""
    _prctl(_PR_SET_NAME, name.encode()[:15])


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int, signum: int = signal.SIGKILL) -> None:
    """Get `signum` when the thread that made this process ends; end at once if the parent has already gone."""
    _prctl(_PR_SET_PDEATHSIG, int(signum))
    if os.getppid() != parent:
        os._exit(71)


def thread_names() -> list[str]:
    """The threads of this process; an empty list where the system does not tell."""
    names = []
    with contextlib.suppress(OSError):
        for thread in os.listdir("/proc/self/task"):
            with contextlib.suppress(OSError), open(f"/proc/self/task/{thread}/comm") as file:
                names.append(file.read().strip())
    return names


def _table() -> dict[int, tuple[int, int]]:
    """Process id -> (parent, resident bytes), from `ps`."""
    made = subprocess.run(["ps", "-axo", "pid=,ppid=,rss="], capture_output=True, text=True, check=False)
    rows = (line.split() for line in made.stdout.splitlines())
    return {int(row[0]): (int(row[1]), 1024 * int(row[2])) for row in rows if len(row) == 3}


def _children_by_walk(pid: int) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as file:
                if int(file.read().rpartition(")")[2].split()[1]) == pid:
                    found.append(int(name))
    return found


def children(pid: int) -> list[int]:
    """Processes whose parent is this one."""
    if not LINUX:
        return [child for child, (parent, _) in _table().items() if parent == pid]
    if not _HAS_CHILDREN_FILE:
        return _children_by_walk(pid)
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/children") as file:
                found.extend(int(child) for child in file.read().split())
    return found


_HAS_CHILDREN_FILE = os.path.exists(f"/proc/{os.getpid()}/task/{os.getpid()}/children")


def descendants(pid: int) -> list[int]:
    """Children of a process, their children, and so on; parents come before their children."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below = children(waiting.pop(0))
        found.extend(below)
        waiting.extend(below)
    return found


def send(pids: list[int], signum: int) -> None:
    """A signal to each process that still exists."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signum)


def own_memory(pid: int) -> int:
    """Resident bytes of a process that are not pages of files; what it shares with its parent counts in full."""
    if not LINUX:
        return _table().get(pid, (0, 0))[1]
    total = 0
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith(("RssAnon:", "RssShmem:", "VmSwap:")):
                total += 1024 * int(line.split()[1])
    return total


def shared_memory(pid: int) -> int:
    """As `own_memory`, with every shared page divided among those who share it; costs milliseconds a gigabyte."""
    if not LINUX:
        return own_memory(pid)
    total = 0
    with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as file:
        for line in file:
            if line.startswith(("Pss_Anon:", "Pss_Shmem:", "SwapPss:")):
                total += 1024 * int(line.split()[1])
    return total


def data_size() -> int:
    """Bytes of this process that count against RLIMIT_DATA."""
    with contextlib.suppress(OSError), open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmData:"):
                return 1024 * int(line.split()[1])
    return 0


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and the children that it has reaped, to 10 ms; 0 where the system does not tell."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
        ticks = file.read().rpartition(")")[2].split()[11:15]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return 0.0


def kernel_oom_kills() -> int:
    """How often the kernel has killed a process for want of memory since it started."""
    with contextlib.suppress(OSError), open("/proc/vmstat") as file:
        for line in file:
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
