"""Run the demo's commands one after the other; a stopped demo continues where it was."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from derain_plugin.demo.plan import ROOT, Step
from derain_plugin.demo.progress import Progress
from derain_plugin.folder_lock import hold_folder
from derain_plugin.whole_file import write_whole

POLL_SECONDS = 0.5
SHOWN_LINES = 15


class StepError(RuntimeError):
    """A command of the demo ended with an error."""


def run_steps(stages: Sequence[Sequence[Step]], folder: Path, *, settings: str) -> dict[str, float]:
    """Run every step that is not finished yet.

    A finished step leaves a record in ``steps/``, beside what its command printed. A training
    that was stopped is resumed from its last checkpoint.

    Args:
        stages: What to run, in this order; the steps of a stage run at once.
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
    with hold_folder(folder):
        left = [[s for s in stage if not _is_done(records, s, settings)] for stage in stages]
        progress = Progress(left)
        for number, stage in enumerate(left):
            if stage:
                progress.start(number)
                _run_stage(stage, records, settings, progress)
                progress.finish()
    return {step.name: _load(records, step)["seconds"] for stage in stages for step in stage}


def _run_stage(stage: Sequence[Step], records: Path, settings: str, progress: Progress) -> None:
    start = time.monotonic()
    threads = str(max(1, (os.cpu_count() or 1) // len(stage)))
    processes: dict[Step, subprocess.Popen] = {}
    try:
        for step in stage:
            processes[step] = _start(step, records, threads)
        while processes:
            progress.tick()
            time.sleep(POLL_SECONDS)
            for step in [step for step, process in processes.items() if process.poll() is not None]:
                _end(step, processes.pop(step), records, settings, time.monotonic() - start)
    finally:
        for step, process in processes.items():
            process.terminate()
            process.wait()
            _record(step, records, settings, time.monotonic() - start, done=False)


def _start(step: Step, records: Path, threads: str) -> subprocess.Popen:
    with _file(records, step, ".log").open("a") as log:
        return subprocess.Popen(
            [*step.command, *_resume_option(step)],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={"OMP_NUM_THREADS": threads, **os.environ},
            close_fds=False,  # it shares the hold on the folder
        )


def _end(
    step: Step, process: subprocess.Popen, records: Path, settings: str, seconds: float
) -> None:
    _record(step, records, settings, seconds, done=process.returncode == 0)
    if process.returncode != 0:
        log = _file(records, step, ".log")
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-SHOWN_LINES:])
        raise StepError(
            f"{step.name!r} failed with exit code {process.returncode}:\n{tail}\n"
            f"All it printed is in {log}. Run the demo again to continue."
        )


def _record(step: Step, records: Path, settings: str, seconds: float, *, done: bool) -> None:
    seconds = round(_load(records, step).get("seconds", 0.0) + seconds, 1)
    record = dict(seconds=seconds, settings=settings, done=done)
    write_whole(_file(records, step, ".json"), json.dumps(record))


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


def _file(records: Path, step: Step, suffix: str) -> Path:
    return records / (re.sub(r"\W+", "_", step.name) + suffix)
