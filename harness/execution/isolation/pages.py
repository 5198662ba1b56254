"""Cheaper forks: what a server holds, in huge pages.

A fork copies one entry of the page table for every page of private memory, and the end of the process drops them
again. With torch loaded that is some 50,000 small pages, 10 ms a fork; as huge pages it is about 1 ms.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys

_MADV_COLLAPSE = 25  # Linux 6.1
_HUGE = 2 << 20


def use_huge_pages() -> None:
    """Put this process's private memory into huge pages where the system can; contents stay as they are."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    with contextlib.suppress(OSError), open("/proc/self/maps") as file:
        for line in file.read().splitlines():
            words = line.split()
            anonymous = len(words) < 6 or words[5] == "[heap]"
            if not anonymous or not words[1].startswith("rw-p"):
                continue
            low, high = (int(word, 16) for word in words[0].split("-"))
            low, high = -(-low // _HUGE) * _HUGE, high // _HUGE * _HUGE
            if low < high:
                libc.madvise(low, high - low, _MADV_COLLAPSE)
