"""What a step of an adaptation costs on this machine: seconds and memory."""

from __future__ import annotations

import multiprocessing
import os
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from mmengine.dataset import pseudo_collate
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from derain_plugin.adapting.frozen_detector import FrozenDetector
from derain_plugin.adapting.renderers import Renderer
from derain_plugin.adapting.training import Adaptation, Schedule
from derain_plugin.adapting.twins import RainyTwins
from derain_plugin.rain.images import read_image

MOST = 8  # photos of a step, and processes that prepare them
SHARE = 0.7  # of the free memory that a step on a CPU may take


def seconds_per_step(
    detector: FrozenDetector,
    photos: Sequence[Path],
    schedule: Schedule,
    *,
    renderer: Renderer = "ours",
    workers: int = 0,
    steps: int = 3,
) -> float:
    """Return how long a step takes, photos and rain included; no weight changes.

    Workers prepare photos while the detector computes, each at the speed of this process.
    """
    twins = RainyTwins(
        photos, detector.prepare, num_samples=(steps + 1) * schedule.batch_size,
        severity=schedule.severity, clean_share=schedule.clean_share, renderer=renderer,
    )  # fmt: skip
    twins.set_run_seed(schedule.seed)
    times: list[float] = []
    for step in range(steps + 1):
        start, first = time.perf_counter(), step * schedule.batch_size
        batch = pseudo_collate([twins[first + index] for index in range(schedule.batch_size)])
        prepared = time.perf_counter()
        _step(detector, batch, schedule)
        seconds = prepared - start, time.perf_counter() - prepared
        times.append(max(seconds[0] / workers, seconds[1]) if workers else sum(seconds))
    return min(times[1:])


def _step(detector: FrozenDetector, batch: Mapping[str, Any], schedule: Schedule) -> None:
    """Do a step but for the optimizer's part."""
    model = Adaptation(detector, schedule.weights)
    with torch.autocast(detector.device.type, enabled=schedule.amp):
        loss = sum(model(**batch).values())
    loss.backward()
    model.zero_grad(set_to_none=True)
    loss.item()  # waits for CUDA


def fitting_batch(
    detector: FrozenDetector, sizes: Mapping[Path, tuple[int, int]], schedule: Schedule
) -> int:
    """Return how many photos of a step fit into memory: ``MOST``, or half as many, and so on.

    On CUDA steps are tried. On a CPU, where the system would rather kill a process than refuse it
    memory, the step of one photo is measured and compared with what is free.

    Args:
        detector: With its de-rain neck.
        sizes: Height and width of the photos. The widest and the tallest go first: a batch with
            both may be padded to more pixels than any photo has.
        schedule: What else there is to a step.

    Raises:
        ValueError: On CUDA not even one fits.
    """
    wide, *others = sorted(sizes, key=lambda photo: sizes[photo][0] / sizes[photo][1])
    photos = [wide, *reversed(others)]
    if detector.device.type == "cuda":
        return _tried(detector, photos[:MOST], schedule)
    free, count = free_memory(), min(MOST, len(photos))
    if free is None:
        return count
    each = _bytes_per_photo(detector, photos[:2], schedule)
    while count > 1 and count * each > SHARE * free:
        count //= 2
    return count


def _tried(detector: FrozenDetector, photos: Sequence[Path], schedule: Schedule) -> int:
    try:
        _step(detector, _batch(detector, photos), schedule)
        return len(photos)
    except torch.cuda.OutOfMemoryError as error:
        if len(photos) == 1:
            raise ValueError(
                f"not even a step with one photo fits into the memory of {detector.device}: free "
                "some of it, shrink the detector's input, or use --amp or --device cpu"
            ) from error
    torch.cuda.empty_cache()
    return _tried(detector, photos[: len(photos) // 2], schedule)


def _bytes_per_photo(detector: FrozenDetector, photos: Sequence[Path], schedule: Schedule) -> float:
    """Return the most that is allocated in a step with one photo, as if padded for them all."""
    batch = _batch(detector, photos[:1])
    with _Allocated() as allocated:
        _step(detector, batch, schedule)
    area, padded = (
        detector.preprocess(each["clean"])[0][0, 0].numel()
        for each in (batch, _batch(detector, photos))
    )
    return allocated.most * padded / area


class _Allocated(TorchDispatchMode):
    """Follow how many bytes the tensors have that come to be and are alive.

    Attributes:
        most: There were at a time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.most = self._now = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and note what it returns that was not given to it."""
        self._note((args, kwargs), is_new=False)
        returned = func(*args, **(kwargs or {}))
        self._note(returned, is_new=True)
        return returned

    def _note(self, tensors: Any, *, is_new: bool) -> None:
        for tensor in tree_iter(tensors):
            if not isinstance(tensor, Tensor):
                continue
            storage = tensor.untyped_storage()
            key, size = storage._cdata, storage.nbytes() if is_new else 0
            if key not in self._known:
                self._known.add(key)
                self._now += size
                self.most = max(self.most, self._now)
                weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._now -= size


def _batch(detector: FrozenDetector, photos: Sequence[Path]) -> dict[str, Any]:
    images = [read_image(photo) for photo in photos]
    return pseudo_collate(
        [
            dict(rainy=detector.prepare(image), clean=detector.prepare(image), severity=1)
            for image in images
        ]
    )


def free_memory() -> int | None:
    """Return the bytes that this process can still have; None where the system does not say."""
    with suppress(OSError, KeyError, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        kilobytes = dict(line.split(":") for line in lines)["MemAvailable"].split()[0]
        return min([1024 * int(kilobytes), *_left_in_control_groups()])
    with suppress(OSError, AttributeError, ValueError):  # macOS; about half of its memory is free
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return None


def _left_in_control_groups(root: Path = Path("/sys/fs/cgroup")) -> Iterator[int]:
    """Give what is left of the limits of a container or a job; its cached files do not count."""
    with suppress(OSError):
        group = root / Path("/proc/self/cgroup").read_text().rpartition("::")[2].strip()[1:]
        for folder in (group, *group.parents):
            with suppress(OSError, ValueError, KeyError):  # no limit is the word max
                stat = (folder / "memory.stat").read_text().splitlines()
                cached = int(dict(line.split() for line in stat)["inactive_file"])
                limit, used = (
                    int((folder / name).read_text()) for name in ("memory.max", "memory.current")
                )
                yield limit - used + cached


def default_workers(device: torch.device) -> int:
    """Return how many processes shall prepare photos.

    None where the detector computes on the CPU itself, nor where they would be sent a copy of it.
    """
    method = multiprocessing.get_start_method(allow_none=True)
    if device.type != "cuda" or (method or multiprocessing.get_all_start_methods()[0]) != "fork":
        return 0
    cores = len(os.sched_getaffinity(0))  # a system that forks has it, but for macOS
    return min(MOST, cores - 1)
