"""What the tests run in workers. Functions that never return say where they are through files."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

Payload = dict[str, Any]


def say(payload: Payload, **values: Any) -> None:
    """Write the process ids to `payload["file"]`, all at once."""
    text = " ".join(str(value) for value in (os.getpid(), os.getppid(), *values.values()))
    path = Path(payload["file"])
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").rename(path)


def echo(payload: Payload) -> Payload:
    return payload


def environment(payload: Payload) -> str | None:
    return os.environ.get(payload["name"])


def facts(payload: Payload) -> Payload:
    return {
        "pid": os.getpid(),
        "guardian": os.getppid(),
        "session": os.getsid(0),
        "threads": len(os.listdir("/proc/self/task")),
        "torch": "torch" in sys.modules,
        "stdin": sys.stdin.read(),
        "fds": sorted(int(name) for name in os.listdir("/proc/self/fd")),
    }


def unserialisable(payload: Payload) -> object:
    return object()


def fail(payload: Payload) -> None:
    print("before the error")
    raise ValueError("first line\nsecond line")


def raise_keyboard_interrupt(payload: Payload) -> None:
    raise KeyboardInterrupt


def recurse(payload: Payload) -> None:
    recurse(payload)


class Spiteful(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text for you")


def raise_spiteful(payload: Payload) -> None:
    raise Spiteful


def segfault(payload: Payload) -> None:
    ctypes.string_at(0)


def hard_exit(payload: Payload) -> None:
    os._exit(payload["code"])


def system_exit(payload: Payload) -> None:
    sys.exit(payload["code"])


def busy(payload: Payload) -> None:
    while True:
        pass


def pause_in_c(payload: Payload) -> None:
    """Hang inside C, deaf to SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say(payload)
    while True:
        ctypes.CDLL(None).pause()


def multiply_forever(payload: Payload) -> None:
    """Hang inside BLAS: one call that takes minutes."""
    import numpy as np

    a = np.ones((10_000, 10_000), dtype=np.float32)
    say(payload)
    np.matmul(a, a, out=a)
    while True:
        np.matmul(a, a)


def fill_list(payload: Payload) -> None:
    kept = []
    while True:
        kept.append(b"x" * (1 << 16))


def share_the_filling(payload: Payload) -> None:
    """Every child stays below the limit, all of them together do not."""
    for _ in range(payload["children"]):
        if os.fork() == 0:
            kept = b"x" * payload["bytes"]
            while kept:
                time.sleep(60)
    time.sleep(600)


def hold(payload: Payload) -> int:
    kept = b"x" * payload["bytes"]
    start = time.monotonic()
    while time.monotonic() < start + payload["seconds"]:
        pass
    return len(kept)


def hold_and_be_killed(payload: Payload) -> None:
    kept = b"x" * payload["bytes"]
    start = time.monotonic()
    while time.monotonic() < start + 1.0 and kept:
        pass
    os.kill(os.getpid(), signal.SIGKILL)


def spin_in_child(payload: Payload) -> None:
    code = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    subprocess.run([sys.executable, "-c", code], check=True)


def detach(payload: Payload) -> str:
    """Leave a process behind that has a session of its own and is nobody's child."""
    guardian = os.getppid()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            say(payload, guardian=guardian)
            os.execvp("sleep", ["sleep", "1000"])
        os._exit(0)
    os.wait()
    while not Path(payload["file"]).exists():
        time.sleep(0.005)
    if payload.get("then") == "hang":
        time.sleep(1000)
    return "left"


def keep_forking(payload: Payload) -> None:
    """Processes that hand themselves on to a fresh child, over and over."""
    say(payload)
    for _ in range(8):
        if os.fork() == 0:
            while True:
                if os.fork():
                    os._exit(0)
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(1000)


def close_everything(payload: Payload) -> str:
    os.closerange(0, 1000)
    return "still there"


def scribble(payload: Payload) -> str:
    for descriptor in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(descriptor, b"a" * 1000 + b"hrn1 nonsense")
    return "scribbled"


def flood(payload: Payload) -> str:
    line = b"y" * 1023 + b"\n"
    for _ in range(payload["bytes"] >> 20):
        os.write(1, line * 1024)
    print("the last line")
    return "done"


def write_everywhere(payload: Payload) -> None:
    print("from python")
    sys.stderr.write("from stderr\n")
    ctypes.CDLL(None).puts(b"from C")
    subprocess.run(["echo", "from a child"], check=True)


def big(payload: Payload) -> str:
    return "z" * payload["bytes"]


def meet(payload: Payload) -> bool:
    """Return only once the other one has come: proves that two calls run at a time."""
    Path(payload["mine"]).touch()
    while not Path(payload["other"]).exists():
        time.sleep(0.005)
    return True


def linger(payload: Payload) -> None:
    """Say where we are, and whether Ctrl-C reaches us."""

    def on_interrupt(*_: object) -> None:
        Path(payload["file"] + ".interrupted").touch()

    signal.signal(signal.SIGINT, on_interrupt)
    say(payload)
    time.sleep(1000)


def warm_with_thread() -> None:
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()


def warm_badly() -> None:
    raise ImportError("no such luck")


class Counter:
    """A service."""

    def __init__(self, start: int = 0) -> None:
        self.value = start
        print("counter made")

    def add(self, amount: int) -> int:
        self.value += amount
        return self.value

    def fail(self) -> None:
        raise ValueError("no")

    def hang(self) -> None:
        time.sleep(1000)

    def crash(self) -> None:
        os.abort()

    def fill(self) -> None:
        fill_list({})

    def die_later(self, file: str) -> None:
        """Answer, then die while idle."""

        def die() -> None:
            time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGKILL)

        say({"file": file})
        threading.Thread(target=die).start()


def no_counter() -> None:
    raise RuntimeError("cannot be made")


def train_a_little(payload: Payload) -> Payload:
    import torch

    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.arange(32.0).reshape(8, 4) / 32
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = ((model(x) - 1) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    return {"before": losses[0], "after": losses[-1], "threads": torch.get_num_threads()}


def allocate_tensor(payload: Payload) -> None:
    import torch

    torch.ones(payload["bytes"] // 4)
