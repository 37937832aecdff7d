"""What starting our commands takes: seconds and peak memory, in processes of their own."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

import derain_command

COMMANDS = sorted(
    name for name, value in vars(derain_command).items() if isinstance(value, partial)
)
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
print(json.dumps([seconds, usage.ru_maxrss * unit / 1e6, os.waitstatus_to_exitcode(status)]))
"""


class Start(NamedTuple):
    """Something to start with Python: arguments, once for each build."""

    name: str
    arguments: Callable[[Path], Sequence[str]]


class Cost(NamedTuple):
    """What starting took: wall-clock seconds, and MB resident at most in one process."""

    seconds: float
    megabytes: float


def starts(commands: Sequence[str], images: Path, out: Path) -> Iterator[Start]:
    """Give ``--help`` of each command, and the work of those that only render rain.

    Args:
        commands: Some of ``COMMANDS``.
        images: Folder of images to copy.
        out: Folder for what is made; everything in it is new each time.
    """
    for name in commands:
        yield Start(f"{name} --help", partial(_help, name))
    if "make_rainy_coco" in commands:
        yield Start("make_rainy_coco, one image", partial(_make_copy, images, out))
    if "browse_rain" in commands:
        yield Start("browse_rain, one image", partial(_browse, images, out))


def write_image(folder: Path) -> Path:
    """Write the image that rain is rendered on, and return its folder."""
    image = np.full((48, 64, 3), 90, np.uint8)
    cv2.imwrite(str(folder / "1.png"), image)
    return folder


def measure_starts(
    commands: Sequence[str], builds: Sequence[Path], *, rounds: int, tell: Callable[[str], object]
) -> list[dict[str, Any]]:
    """Start everything in turns: each of our commands in each build, and the yardstick.

    Args:
        commands: Some of ``COMMANDS``.
        builds: Checkouts, ours first.
        rounds: How often each is started; once more before, untimed, to fill caches.
        tell: Takes a line about each round.

    Returns:
        A row for the yardstick, of one cost, and for each start, of a cost per build: medians
        ``seconds`` and ``megabytes``, and all single values.

    Raises:
        FileNotFoundError: A build lacks a command.
        RuntimeError: A command fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        images, out = Path(folder, "images"), Path(folder, "out")
        images.mkdir()
        yardstick = Start(YARDSTICK, lambda _: ("-c", YARDSTICK))
        todo = [(yardstick, builds[:1])]
        todo += [(start, builds) for start in starts(commands, write_image(images), out)]
        costs: list[list[list[Cost]]] = [[[] for _ in places] for _, places in todo]
        for turn in range(rounds + 1):
            tell(f"round {turn} of {rounds}" if turn else "warm-up")
            for (start, places), row in zip(todo, costs, strict=True):
                for build, kept in zip(places, row, strict=True):
                    cost = start_once(start.arguments(build), build)
                    kept += [cost] * (turn > 0)
    return [
        dict(start=start.name, costs=[_record(kept) for kept in row])
        for (start, _), row in zip(todo, costs, strict=True)
    ]


def start_once(arguments: Sequence[str], build: Path) -> Cost:
    """Run Python with these arguments on a checkout, and wait for its end.

    Raises:
        RuntimeError: It fails; the message ends with what it says.
    """
    environment = dict(os.environ, PYTHONPATH=str(build))
    command = [sys.executable, "-I", "-c", PROBE, sys.executable, *arguments]
    done = subprocess.run(command, cwd=build, env=environment, text=True, capture_output=True)
    seconds, megabytes, code = json.loads(done.stdout)
    if code:
        raise RuntimeError(f"python {' '.join(arguments)} fails in {build}: {done.stderr.strip()}")
    return Cost(seconds, megabytes)


def _record(costs: Sequence[Cost]) -> dict[str, Any]:
    seconds, megabytes = map(list, zip(*costs, strict=True))
    return dict(
        seconds=statistics.median(seconds),
        megabytes=statistics.median(megabytes),
        all_seconds=seconds,
        all_megabytes=megabytes,
    )


def _tool(name: str, build: Path) -> str:
    found = sorted((build / "tools").rglob(f"{name}.py"))
    if not found:
        raise FileNotFoundError(f"{build} has no tools/{name}.py")
    return str(found[0])


def _help(name: str, build: Path) -> Sequence[str]:
    return _tool(name, build), "--help"


def _make_copy(images: Path, out: Path, build: Path) -> Sequence[str]:
    target = tempfile.mkdtemp(dir=_made(out))
    return _tool("make_rainy_coco", build), str(images), target, "--workers", "1"


def _browse(images: Path, out: Path, build: Path) -> Sequence[str]:
    target = str(_made(out) / "rain.png")
    return _tool("browse_rain", build), str(images / "1.png"), "--out", target


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder
