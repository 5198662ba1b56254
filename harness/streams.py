"""Named, counter-based random streams: every random number of a trial is random(seed, purpose, counter).

Purposes in use: `split`, `noise`, `init/<network>/<module>`, `order/<source>` (counter: the epoch), `step/<name>`
(counter: the step), `dropout/<network>/<module>`, `method/<name>`. Two streams with different names or counters are
independent; the same three give the same numbers in a loop, in a stacked program, and after a resume.
"""

from __future__ import annotations

import hashlib

import numpy as np


def key(seed: int, purpose: str) -> int:
    """A 64-bit key for a stream."""
    text = f"{seed}\x1f{purpose}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def random(seed: int, purpose: str, counter: int = 0) -> np.random.Generator:
    """A generator at the start of a stream; each counter is a stream of its own."""
    bits = np.random.Philox(key=[key(seed, purpose), 0x9E3779B97F4A7C15], counter=[0, 0, 0, counter])
    return np.random.Generator(bits)
