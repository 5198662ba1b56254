from harness.execution.executor import Inline, Processes
from harness.testing import ExecutorContract


class TestInline(ExecutorContract):
    def make(self):
        return Inline()


class TestProcesses(ExecutorContract):
    def make(self):
        return Processes(1)
