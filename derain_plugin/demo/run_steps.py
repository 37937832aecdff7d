"""Run the demo's commands one after the other; a stopped demo continues where it was."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from derain_plugin.demo.plan import ROOT, Step
from derain_plugin.demo.progress import Progress

POLL_SECONDS = 0.5
SHOWN_LINES = 15


class StepError(RuntimeError):
    """A command of the demo ended with an error."""


def run_steps(steps: Sequence[Step], folder: Path, *, settings: str) -> dict[str, float]:
    """Run every step that is not finished yet.

    A finished step leaves a record in ``steps/``, beside what its command printed. A training
    that was stopped is resumed from its last checkpoint.

    Args:
        steps: What to run, in this order.
        folder: Where the demo writes.
        settings: Identifies what the steps do; steps of other settings are not continued.

    Returns:
        Seconds that each step has taken, over all attempts.

    Raises:
        ValueError: ``folder`` holds steps of other settings, or is in use.
        StepError: A command failed; the message has its last lines and what to do.
    """
    records = folder / "steps"
    records.mkdir(parents=True, exist_ok=True)
    with _only_one(folder):
        finished = [_is_done(records, step, settings) for step in steps]
        progress = Progress(steps, finished=finished)
        for number, step in enumerate(steps):
            if not finished[number]:
                progress.start(number)
                _run(step, records, settings, progress)
                progress.finish()
    return {step.name: _load(records, step)["seconds"] for step in steps}


def _run(step: Step, records: Path, settings: str, progress: Progress) -> None:
    before = _load(records, step).get("seconds", 0.0)
    log = _file(records, step, ".log")
    start = time.monotonic()
    with log.open("a") as output:
        process = subprocess.Popen(
            [*step.command, *_resume_option(step)],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            close_fds=False,  # it shares the hold on the folder
        )
        try:
            while process.poll() is None:
                progress.tick()
                time.sleep(POLL_SECONDS)
        finally:
            process.terminate()
            done = process.wait() == 0
            seconds = before + time.monotonic() - start
            _store(records, step, seconds=round(seconds, 1), settings=settings, done=done)
    if not done:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-SHOWN_LINES:])
        raise StepError(
            f"{step.name!r} failed with exit code {process.returncode}:\n{tail}\n"
            f"All it printed is in {log}. Run the demo again to continue."
        )


def _resume_option(step: Step) -> list[str]:
    begun = step.work_dir is not None and (step.work_dir / "last_checkpoint").is_file()
    return ["--resume"] if begun else []


def _is_done(records: Path, step: Step, settings: str) -> bool:
    record = _load(records, step)
    if record and record["settings"] != settings:
        raise ValueError(
            f"{records.parent} was made with other settings: delete it, or choose another folder "
            "with --work-dir"
        )
    return record.get("done", False)


def _load(records: Path, step: Step) -> dict:
    path = _file(records, step, ".json")
    return json.loads(path.read_text()) if path.is_file() else {}


def _store(records: Path, step: Step, **record: object) -> None:
    path = _file(records, step, ".json")
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(record))
    os.replace(partial, path)


def _file(records: Path, step: Step, suffix: str) -> Path:
    return records / (re.sub(r"\W+", "_", step.name) + suffix)


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Hold the demo's folder; commands share the hold, so an orphan keeps it until it ends."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ValueError(
                f"another demo, or a command that one left behind, still works in {folder}: "
                "wait for it, or stop it"
            ) from error
        os.set_inheritable(lock.fileno(), True)
        yield
