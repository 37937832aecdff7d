"""A toy training in a process of its own that is killed, and what it must leave behind."""

import hashlib
import json
import os
import random
import re
import signal
import sys
from itertools import count
from multiprocessing.connection import Pipe, wait
from pathlib import Path

import numpy as np
import torch
from forked import start_forked
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from phased_runner import ToyData, ToyDetector, build_runner

from derain_plugin.engine.safety.checkpoint import load_from_local

PHASES = (
    dict(name="derain", epochs=(1, 3), lr={"neck.derain": 5e-3}),
    dict(name="joint", epochs=(4, 6), lr={"neck.derain": 1e-3, "*": 1e-4}),
)
SCORES = [0.1, 0.3, 0.2, 0.4, 0.5, 0.3]  # the best so far in epochs 1, 2, 4 and 5
EPOCHS, BATCHES = len(SCORES), 4
EMA = dict(
    type="EMAHook",
    ema_type="ExpMomentumEMA",
    momentum=1e-2,
    gamma=20,
    update_buffers=True,
    priority=49,
)


class Diary(Hook):
    """Writes down what each iteration saw and did, at once, whatever becomes of the process."""

    priority = "LOWEST"

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        trains = [name for name, item in runner.model.named_parameters() if item.requires_grad]
        numpys = np.random.get_state()[1]  # noqa: NPY002  the global generator
        draws = torch.get_rng_state().numpy(), numpys, random.getstate()
        entry = dict(
            iteration=runner.iter + 1,
            rates=runner.optim_wrapper.get_lr(),
            trains=digest(trains),
            data=digest(data_batch["inputs"].tolist()),
            draws=digest([np.asarray(state, dtype=object).tolist() for state in draws]),
            loss=float(outputs["loss"]),
        )
        with Path(runner.work_dir, "diary").open("a") as file:
            file.write(json.dumps(entry) + "\n")


class StopAt(Hook):
    """Calls ``stop`` at a point of an epoch (from 1), in iterations at one batch (from 0)."""

    def __init__(self, stop, point, epoch, batch=None, priority="LOWEST"):
        self.priority = priority
        is_begun = "train" in point  # in a validation runner.epoch is one more

        def look(runner, batch_idx=None, *_, **__):
            if runner.epoch + is_begun == epoch and batch_idx == batch:
                stop()

        setattr(self, point, look)


def digest(item):
    return hashlib.sha256(json.dumps(item).encode()).hexdigest()[:16]


def start(work_dir, kept=1, arm=None):
    """Start a training, or go on with it; ``arm(stop)`` in its process may give more hooks.

    Returns the process, and a connection that gets a byte when it has called ``stop``: it then
    waits to be killed.
    """
    ours, theirs = Pipe(duplex=False)
    process = start_forked(_train, work_dir, kept, arm, theirs)
    theirs.close()
    return process, ours


def _train(work_dir, kept, arm, connection):
    def stop():
        connection.send_bytes(b"!")
        signal.pause()

    train(work_dir, kept, (arm and arm(stop)) or ())


def train(work_dir, kept=1, hooks=()):
    """Train in this process, on from the last checkpoint if there is one."""
    work_dir.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    model = ToyDetector()
    model.backbone.stage[3].p = 0.5  # draws numbers
    runner = build_runner(
        work_dir,
        model=model,
        phases=PHASES,
        epochs=EPOCHS,
        scores=SCORES,
        train_dataloader=dict(
            dataset=ToyData(BATCHES),
            batch_size=4,
            sampler=dict(type="DefaultSampler", shuffle=True),
            collate_fn=dict(type="default_collate"),
        ),
        param_scheduler=[dict(type="LinearLR", start_factor=0.1, by_epoch=False, end=4 * BATCHES)],
        hooks=[EMA, Diary(), *hooks],
        default_hooks=dict(
            checkpoint=dict(
                type="CrashSafeCheckpointHook",
                interval=1,
                max_keep_ckpts=kept,
                save_best="acc",
                rule="greater",
            ),
            safe_files=dict(type="SafeFilesHook"),
            sampler_seed=dict(type="EpochSeedHook"),
            resume_validation=dict(type="ResumeValidationHook"),
        ),
        resume=(work_dir / "last_checkpoint").exists(),
    )
    runner.train()


def kill_when_stopped(work_dir, arm, kept=1):
    """Train until ``arm``'s moment and kill; return whether it came before the end."""
    process, stopped = start(work_dir, kept, arm)
    reached = stopped in wait([stopped, process.sentinel], timeout=60) and stopped.poll()
    return _kill(process, work_dir) if reached else _end(process, work_dir)


def kill_after(work_dir, seconds, kept=1):
    """Train for some time and kill; return whether the time was up before the end."""
    process, _ = start(work_dir, kept)
    process.join(seconds)
    return _kill(process, work_dir) if process.is_alive() else _end(process, work_dir)


def finish(work_dir, kept=1):
    """Train to the end."""
    process, _ = start(work_dir, kept)
    process.join()
    assert not _end(process, work_dir)


def _kill(process, work_dir):
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    check_what_is_left(work_dir)
    return process.exitcode == -signal.SIGKILL  # else it ended meanwhile


def _end(process, work_dir):
    process.join()
    assert process.exitcode == 0
    check_what_is_left(work_dir)
    return False


def check_what_is_left(work_dir):
    """Every checkpoint can be loaded, and the last one lacks no more than the epoch at work."""
    for path in work_dir.glob("*.pth"):
        load_from_local(str(path))
    marker, last_epoch = work_dir / "last_checkpoint", 0
    if marker.exists():
        last_epoch = load_from_local(marker.read_text())["meta"]["epoch"]
    begun = max(read_diary(work_dir), default=0) / BATCHES
    assert last_epoch >= begun - 1


class Operations:
    """Counts what this process does to checkpoints, and acts just before the ``number``-th."""

    def __init__(self, number, act):
        self.number, self.act, self.numbers, self.seen = number, act, count(1), []
        sys.addaudithook(self._look)

    def _look(self, event, arguments):
        if event not in ("open", "os.rename", "os.remove"):
            return
        name = os.path.basename(str(arguments[0]))
        if event == "open" and "w" not in str(arguments[1]):
            return
        if ".pth" in name or name.startswith("last_checkpoint"):
            self.seen.append((event, name))
            if next(self.numbers) == self.number:
                self.act()


def write_half(number, act):
    """Act when half of the ``number``-th file is written."""
    numbers, write = count(1), Path.write_bytes

    def write_or_stop(path, content):
        half = next(numbers) == number
        write(path, content[: len(content) // 2] if half else content)
        if half:
            act()

    Path.write_bytes = write_or_stop


def outcome(work_dir):
    """All that may not depend on whether a training was killed, by name."""
    names = (path.name for path in work_dir.iterdir() if path.is_file())
    found = {"files": sorted(name for name in names if not name.endswith(".py"))}
    found["diary"] = read_diary(work_dir)
    for path in work_dir.glob("*.pth"):
        checkpoint = load_from_local(str(path))
        meta, hub = checkpoint.pop("meta"), checkpoint.pop("message_hub")
        found |= flat(checkpoint, path.stem)
        found |= flat({name: meta[name] for name in ("epoch", "iter", "seed")}, path.stem)
        found |= flat(hub["log_scalars"], f"{path.stem}/history")
        found |= flat(hub["runtime_info"], f"{path.stem}/info")
    folder = str(work_dir)
    return {
        name: value.replace(folder, "") if isinstance(value, str) else value
        for name, value in found.items()
        if not re.search("time|eta$|/cfg|/experiment_name", name)
    }


def read_diary(work_dir):
    """Entries by iteration; what was done again after a kill must have been the same."""
    entries, diary = {}, work_dir / "diary"
    # A kill may leave an unfinished line.
    for line in diary.read_text().split("\n")[:-1] if diary.exists() else []:
        entry = json.loads(line)
        assert entries.setdefault(entry["iteration"], entry) == entry
    return entries


def flat(tree, prefix):
    """Name -> leaf of nested dicts and lists."""
    if isinstance(tree, HistoryBuffer):
        tree = [item.tolist() for item in tree.data]
    if isinstance(tree, dict | list | tuple):
        items = tree.items() if isinstance(tree, dict) else enumerate(tree)
        return {k: v for key, item in items for k, v in flat(item, f"{prefix}/{key}").items()}
    return {prefix: tree}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        again = found[name]
        same = torch.equal(value, again) if torch.is_tensor(value) else value == again
        assert same, f"{name}: {again} instead of {value}"
