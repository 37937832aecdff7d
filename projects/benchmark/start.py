"""What starting our commands takes: seconds and peak memory, in processes of their own."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from derain_plugin.cli.machine import ROOT

COMMANDS = sorted(path.stem for path in ROOT.glob("tools/**/*.py"))
YARDSTICK = "import cv2, numpy"
# A process of its own between ours and the command: Linux counts the memory that a process had
# before it became another program, and ours is large.
PROBE = """
import json, os, sys, time
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
start = time.perf_counter()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, usage = os.wait4(child, 0)
seconds = time.perf_counter() - start
unit = 1 if sys.platform == "darwin" else 1024
cost = [seconds, usage.ru_maxrss * unit / 1e6, usage.ru_utime + usage.ru_stime]
print(json.dumps([*cost, os.waitstatus_to_exitcode(status)]))
"""


class Start(NamedTuple):
    """Something to start with Python.

    Attributes:
        name: For people.
        tool: The command; None for the yardstick.
        arguments: What follows the command, called anew for each start.
    """

    name: str
    tool: str | None
    arguments: Callable[[], Sequence[str]]


class Cost(NamedTuple):
    """What starting took: wall-clock seconds, MB resident at most, seconds of the CPU."""

    seconds: float
    megabytes: float
    cpu_seconds: float


def starts(commands: Sequence[str], images: Path, out: Path) -> Iterator[Start]:
    """Give ``--help`` of each command, and the work of those that only render rain.

    Args:
        commands: Some of ``COMMANDS``.
        images: Folder with the image ``1.png``.
        out: Folder for what is made.
    """
    for name in commands:
        yield Start(f"{name} --help", name, lambda: ["--help"])
    if "make_rainy_coco" in commands:
        yield Start("make_rainy_coco, one image", "make_rainy_coco", lambda: _copied(images, out))
    if "browse_rain" in commands:
        sheet = [str(images / "1.png"), "--out", str(out / "rain.png")]
        yield Start("browse_rain, one image", "browse_rain", lambda: sheet)


def write_image(path: Path) -> None:
    """Write a small grey image, for rain to be rendered on."""
    cv2.imwrite(str(path), np.full((48, 64, 3), 90, np.uint8))


def measure_starts(
    commands: Sequence[str], builds: Sequence[Path], *, rounds: int, tell: Callable[[str], object]
) -> list[dict[str, Any]]:
    """Start everything in turns: each command in each build that has it, and the yardstick.

    Args:
        commands: Some of ``COMMANDS``.
        builds: Checkouts, ours first.
        rounds: How often each is started; the first of each build once more before, untimed.
        tell: Takes a line about each round.

    Returns:
        A row for the yardstick and for each start; its ``costs`` are one of each build, with the
        medians ``seconds`` and ``megabytes`` and all single values, or None.

    Raises:
        RuntimeError: A command fails.
        ValueError: There is no such command.
    """
    if unknown := sorted({*commands} - {*COMMANDS}):
        raise ValueError(f"no command {unknown[0]}: choose from {', '.join(COMMANDS)}")
    with tempfile.TemporaryDirectory() as folder:
        images, out = Path(folder, "images"), Path(folder, "out")
        images.mkdir()
        out.mkdir()
        write_image(images / "1.png")
        todo = [Start(YARDSTICK, None, lambda: ["-c", YARDSTICK])]
        todo += starts(commands, images, out)
        for build in builds:
            _cost(todo[1], build)
        turns: list[list[list[Cost | None]]] = []
        for turn in range(rounds):
            tell(f"round {turn + 1} of {rounds}")
            turns.append([[_cost(start, build) for build in builds] for start in todo])
    return [
        dict(start=start.name, costs=[_record(costs) for costs in zip(*rows, strict=True)])
        for start, rows in zip(todo, zip(*turns, strict=True), strict=True)
    ]


def _cost(start: Start, build: Path) -> Cost | None:
    """None where the build has no such command."""
    if start.tool is None:
        return start_once(start.arguments(), build)
    # Commands have moved within tools/.
    found = sorted((build / "tools").rglob(f"{start.tool}.py"))
    return start_once([str(found[0]), *start.arguments()], build) if found else None


def start_once(arguments: Sequence[str], build: Path) -> Cost:
    """Run Python with these arguments on a checkout, and wait for its end.

    Raises:
        RuntimeError: It fails; the message ends with what it says.
    """
    environment = dict(os.environ, PYTHONPATH=str(build))
    command = [sys.executable, "-I", "-c", PROBE, sys.executable, *arguments]
    done = subprocess.run(command, cwd=build, env=environment, text=True, capture_output=True)
    *cost, code = json.loads(done.stdout)
    if code:
        raise RuntimeError(f"python {' '.join(arguments)} fails in {build}: {done.stderr.strip()}")
    return Cost(*cost)


def _record(costs: Sequence[Cost | None]) -> dict[str, Any] | None:
    present = [cost for cost in costs if cost is not None]
    if not present:
        return None
    seconds, megabytes, _ = map(list, zip(*present, strict=True))
    return dict(
        seconds=statistics.median(seconds),
        megabytes=statistics.median(megabytes),
        all_seconds=seconds,
        all_megabytes=megabytes,
    )


def _copied(images: Path, out: Path) -> list[str]:
    return [str(images), tempfile.mkdtemp(dir=out), "--workers", "1"]
