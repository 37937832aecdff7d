"""Run commands that need each other; what was stopped continues where it was."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from derain_plugin.files import atomic_write, lock_dir
from projects.study.steps.progress import Progress
from projects.study.steps.schedule import ROOT, Step, most_at_once, next_steps, steps_left

POLL_SECONDS = 0.5
SHOWN_LINES = 15
RECORDS = "steps"


class StepError(RuntimeError):
    """A command ended with an error."""


def run_steps(steps: Sequence[Step], folder: Path, *, jobs: int) -> dict[str, float]:
    """Run every step that is not finished yet, but for what only finished ones need.

    A finished step leaves a record in ``steps/``, beside what its command printed. A training
    that was stopped is resumed from its last checkpoint. Steps that may run at once share the
    cores, unless ``OMP_NUM_THREADS`` is set.

    Args:
        steps: What to run, each after what it needs.
        folder: Where the records are.
        jobs: How many steps run at once, at most.

    Returns:
        Seconds that each step has taken, over all attempts.

    Raises:
        ValueError: ``folder`` holds steps of other settings, or is in use; or the steps are not
            in order.
        StepError: A command failed; the message has its last lines and what to do. Those that
            ran beside it are ended.
    """
    (folder / RECORDS).mkdir(parents=True, exist_ok=True)
    with lock_dir(folder):
        left = unfinished_steps(steps, folder)
        threads = {
            name: str(max(1, (os.cpu_count() or 1) // count))
            for name, count in most_at_once(steps, jobs=jobs).items()
        }
        _run(left, folder, threads, jobs=jobs)
    return {step.name: _load(folder, step).get("seconds", 0.0) for step in steps}


def run_or_exit(steps: Sequence[Step], folder: Path, *, jobs: int) -> dict[str, float]:
    """Call :func:`run_steps`; its errors, Ctrl-C and SIGTERM end the program with a message.

    The steps that run are ended then, too.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return run_steps(steps, folder, jobs=jobs)
    except (StepError, ValueError) as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit("\nstopped; run the same command again to continue")


def unfinished_steps(steps: Sequence[Step], folder: Path) -> list[Step]:
    """Return what :func:`run_steps` would run, in order; errors as there."""
    return steps_left(steps, lambda step: _is_done(folder, step))


def record_file(folder: Path, name: str, suffix: str = ".json") -> Path:
    """Return the record of the step ``name``: ``seconds``, ``settings``, ``done``."""
    return folder / RECORDS / (re.sub(r"\W+", "_", name) + suffix)


def _run(left: Sequence[Step], folder: Path, threads: dict[str, str], *, jobs: int) -> None:
    waiting, progress = list(left), Progress(left, jobs=jobs)
    running: dict[Step, tuple[subprocess.Popen, float]] = {}
    try:
        while waiting or running:
            for step in next_steps(waiting, running, jobs=jobs):
                waiting.remove(step)
                running[step] = _start(step, folder, threads[step.name]), time.monotonic()
                progress.start(step)
            progress.tick()
            time.sleep(POLL_SECONDS)
            ended = [step for step, (process, _) in running.items() if process.poll() is not None]
            for step in ended:
                _end(step, *running.pop(step), folder)
                progress.finish(step)
    finally:
        for step, (process, start) in running.items():
            process.terminate()
            process.wait()
            _record(step, folder, time.monotonic() - start, done=False)


def _start(step: Step, folder: Path, threads: str) -> subprocess.Popen:
    if step.prepare is not None:
        step.prepare()
    with record_file(folder, step.name, ".log").open("a") as log:
        return subprocess.Popen(
            [*step.command, *(["--resume"] if step.has_begun else [])],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={"OMP_NUM_THREADS": threads, **os.environ},
            close_fds=False,  # it shares the hold on the folder
        )


def _end(step: Step, process: subprocess.Popen, start: float, folder: Path) -> None:
    _record(step, folder, time.monotonic() - start, done=process.returncode == 0)
    if process.returncode != 0:
        log = record_file(folder, step.name, ".log")
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-SHOWN_LINES:])
        raise StepError(
            f"{step.name!r} failed with exit code {process.returncode}:\n{tail}\n"
            f"All it printed is in {log}. Run the same command again to continue."
        )


def _record(step: Step, folder: Path, seconds: float, *, done: bool) -> None:
    seconds = round(_load(folder, step).get("seconds", 0.0) + seconds, 1)
    record = dict(seconds=seconds, settings=step.settings, done=done)
    atomic_write(record_file(folder, step.name), json.dumps(record))


def _is_done(folder: Path, step: Step) -> bool:
    record = _load(folder, step)
    if record and record["settings"] != step.settings:
        raise ValueError(
            f"{folder} was made with other settings: delete it, or choose another folder "
            "with --work-dir"
        )
    return record.get("done", False) and (step.is_there is None or step.is_there())


def _load(folder: Path, step: Step) -> dict:
    path = record_file(folder, step.name)
    return json.loads(path.read_text()) if path.is_file() else {}
