import errno
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from folder_contents import contents, manifest_of, times
from forked import run_forked
from small_disk import fill_disk, mount_small_disk, require_small_disk
from small_photos import MIXED, NAMES
from tqdm import tqdm

from derain_plugin.files import lock_dir
from derain_plugin.rain.copies import make_rainy_copy
from derain_plugin.rain.copies import render_image as module

RANDOM_KILLS = 12


def test_a_repair_that_is_stopped_leaves_an_incomplete_copy(
    photos, reference, tmp_path, monkeypatch
):
    out = tmp_path / "rainy"
    shutil.copytree(reference, out)
    (out / NAMES[0]).unlink()
    monkeypatch.setattr(module, "render_rain", lambda *_, **__: sys.exit("stopped"))
    with pytest.raises(SystemExit):
        make_rainy_copy(photos, out, recipe=MIXED)
    assert manifest_of(out)["complete"] is False


def wait_when_finished(monkeypatch, out, finished):
    render = module.render_rain

    def render_or_wait(*args, **kwargs):
        if len(times(out)) >= finished:
            time.sleep(60)
        return render(*args, **kwargs)

    monkeypatch.setattr(module, "render_rain", render_or_wait)


def run_apart(*args, **kwargs):
    """Start ``make_rainy_copy`` in another process, which inherits patches."""

    def run():
        tqdm.set_lock(threading.RLock())  # the inherited one stays locked if this is killed
        make_rainy_copy(*args, **kwargs)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    return process


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def is_free(folder):
    try:
        with lock_dir(folder):
            return True
    except ValueError:
        return False


@pytest.mark.parametrize(("finished", "num_workers"), [(0, 2), (1, 1), (3, 3), (6, 2), (9, 3)])
def test_killed_and_continued_is_as_if_never_killed(
    photos, reference, tmp_path, monkeypatch, finished, num_workers
):
    out = tmp_path / "rainy"
    with monkeypatch.context() as patch:
        wait_when_finished(patch, out, finished)
        process = run_apart(photos, out, recipe=MIXED, num_workers=num_workers)
        wait_until(lambda: (out / "manifest.json").exists() and len(times(out)) >= finished)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    wait_until(lambda: is_free(out))  # its workers end with it, or they would hold the folder
    before, expected = times(out), contents(reference)
    assert finished <= len(before) < len(NAMES)
    assert manifest_of(out)["complete"] is False
    for path in before:
        name = path.relative_to(out).as_posix()
        assert path.read_bytes() == expected[name], "half-written"
    report = make_rainy_copy(photos, out, recipe=MIXED, num_workers=2)
    assert report.num_new == len(NAMES) - len(before)
    assert {path: times(out)[path] for path in before} == before
    assert contents(out) == expected


def test_a_file_is_written_under_another_name_first(photos, reference, tmp_path, monkeypatch):
    out = tmp_path / "rainy"

    def die_half_way(path, content):
        path.with_name(path.name + ".partial").write_bytes(content[: len(content) // 2])
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(module, "atomic_write", die_half_way)
        with pytest.raises(Exception, match="terminated abruptly"):
            make_rainy_copy(photos, out, recipe=MIXED)
    assert times(out) == {}
    assert any(name.endswith(".partial") for name in contents(out))
    (out / "gone.jpg.partial").touch()  # of an image that is not there any more
    make_rainy_copy(photos, out, recipe=MIXED)
    assert contents(out) == contents(reference)


def test_an_empty_file_that_a_power_cut_left_is_made_again(photos, reference, tmp_path):
    out = tmp_path / "rainy"
    out.mkdir()
    manifest = dict(manifest_of(reference), complete=False, files={})
    (out / "manifest.json").write_text(json.dumps(manifest))
    (out / "val2017").mkdir()
    (out / NAMES[0]).touch()
    make_rainy_copy(photos, out, recipe=MIXED)
    assert contents(out) == contents(reference)


def test_an_error_of_writing_stops_the_run_and_keeps_what_is_done(
    photos, reference, tmp_path, monkeypatch
):
    out, write = tmp_path / "rainy", Path.write_bytes

    def full(path, content):
        if path.name == "000000000139.jpg.partial":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match=r"cannot write: No space left.*000000000139\.jpg"):
            make_rainy_copy(photos, out, recipe=MIXED)
    assert times(out)
    make_rainy_copy(photos, out, recipe=MIXED)
    assert contents(out) == contents(reference)


def test_killed_at_random_moments_it_still_gets_done(photos, reference, tmp_path):
    began = time.monotonic()
    run_apart(photos, tmp_path / "whole", recipe=MIXED, num_workers=2).join()
    seconds, rng, expected = time.monotonic() - began, random.Random(0), contents(reference)
    for number in range(RANDOM_KILLS):
        out = tmp_path / f"{number % 3}"
        process = run_apart(photos, out, recipe=MIXED, num_workers=2)
        process.join(rng.uniform(0, seconds))
        process.kill()
        process.join()
        wait_until(lambda out=out: is_free(out) if out.exists() else True)
        for name in contents(out).keys() & set(NAMES) if out.exists() else ():
            assert (out / name).read_bytes() == expected[name], "half-written"
    for number in range(3):
        make_rainy_copy(photos, tmp_path / f"{number}", recipe=MIXED)
        assert contents(tmp_path / f"{number}") == expected


@pytest.mark.parametrize("leave", [0, 8, 16])
def test_a_full_disk_is_told_and_costs_nothing(photos, reference, tmp_path, leave):
    require_small_disk()
    (tmp_path / "small").mkdir()
    run_forked(copy_to_full_disk, tmp_path / "small", leave, photos, contents(reference))


def copy_to_full_disk(disk, leave, photos, expected):
    mount_small_disk(disk, 4096)
    out, filler = disk / "rainy", fill_disk(disk, leave=leave)
    with pytest.raises(OSError, match=r"cannot write: No space left .*make room in .*rainy"):
        make_rainy_copy(photos, out, recipe=MIXED)
    found = contents(out)
    assert not [name for name in found if name.endswith(".partial")]
    assert len(found.keys() & set(NAMES)) < len(NAMES)
    assert all(found[name] == expected[name] for name in found.keys() & set(NAMES))
    filler.unlink()
    make_rainy_copy(photos, out, recipe=MIXED)
    assert contents(out) == expected


def test_two_runs_at_once_are_refused(photos, reference, tmp_path):
    out = tmp_path / "rainy"
    shutil.copytree(reference, out)
    with lock_dir(out), pytest.raises(ValueError, match=r"still works in .*rainy"):
        make_rainy_copy(photos, out, recipe=MIXED)
