"""Put on PYTHONPATH by a test: the N-th fork, counted over all processes, kills its parent or its child at once.

`KILL_AT_FORK` is "<N> <parent|child> <file that counts forks>".
"""

import os
import signal

if "KILL_AT_FORK" in os.environ:
    number, side, counter = os.environ["KILL_AT_FORK"].split(" ", 2)
    fork = os.fork

    def deadly_fork() -> int:
        descriptor = os.open(counter, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.write(descriptor, b".")
        now = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.close(descriptor)
        pid = fork()
        if now == int(number) and (side == "child") == (pid == 0):
            os.kill(os.getpid(), signal.SIGKILL)
        return pid

    os.fork = deadly_fork
