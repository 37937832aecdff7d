"""Steps whose commands run in copies of this process, which import nothing anew."""

import os
import runpy
import subprocess
import sys
from types import SimpleNamespace

import pytest
from forked import start_forked


def fork_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``run_steps`` run ``python FILE ...`` and ``python -m MODULE ...`` in such copies."""
    forking = SimpleNamespace(Popen=ForkedCommand, STDOUT=subprocess.STDOUT)
    monkeypatch.setattr(sys.modules["projects.study.steps.run_steps"], "subprocess", forking)


class ForkedCommand:
    """Stands in for ``Popen``."""

    def __init__(self, command, *, stdout, stderr, cwd, env, close_fds):
        assert (command[0], stderr, close_fds) == (sys.executable, subprocess.STDOUT, False)
        self._process = start_forked(run_python, command[1:], stdout, cwd, env)

    def poll(self):
        return self.returncode

    @property
    def returncode(self):
        return self._process.exitcode

    def terminate(self):
        self._process.terminate()

    def wait(self):
        self._process.join()


def run_python(arguments, log, cwd, env):
    sys.stdout = sys.stderr = log
    os.chdir(cwd)
    os.environ.update(env)
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")
