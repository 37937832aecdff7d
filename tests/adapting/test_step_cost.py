"""How long a step takes, and how many photos fit into one."""

import os
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from small_detectors import PIPELINE, frozen

from derain_plugin.adapting import step_cost
from derain_plugin.adapting.adapt import PipelineSample
from derain_plugin.adapting.photos import find_photos
from derain_plugin.adapting.step_cost import (
    default_workers,
    fitting_batch,
    free_memory,
    seconds_per_step,
)
from derain_plugin.adapting.training import Schedule

STEP = Schedule(1)


@pytest.fixture(scope="module")
def sizes(photos):
    return find_photos(photos * 2).sizes


@pytest.fixture(scope="module")
def yolox():
    return frozen("yolox")


def test_timing_a_step_changes_nothing(photos, yolox):
    before = {name: weight.clone() for name, weight in yolox.derain.state_dict().items()}
    assert seconds_per_step(yolox, photos, Schedule(1, 2), steps=1) > 0
    assert all((before[k] == v).all() for k, v in yolox.derain.state_dict().items())
    assert all(parameter.grad is None for parameter in yolox.derain.parameters())


def test_workers_hide_the_time_of_photos(photos, yolox, monkeypatch):
    ticks = iter(range(100))
    clock = SimpleNamespace(perf_counter=lambda: [0, 6, 10][next(ticks) % 3])
    monkeypatch.setattr(step_cost, "time", clock)
    seconds = [
        seconds_per_step(yolox, photos, Schedule(1, 1), steps=1, workers=n) for n in (0, 1, 2)
    ]
    assert seconds == [10, 6, 4]  # 6 to prepare, 4 to compute


@pytest.mark.parametrize(("photos_that_fit", "batch"), [(100, 6), (6, 6), (5, 3), (2, 1), (0.1, 1)])
def test_the_batch_is_halved_until_it_fits(sizes, yolox, monkeypatch, photos_that_fit, batch):
    monkeypatch.setattr(step_cost, "_bytes_per_photo", lambda *_: 1000)
    free = (photos_that_fit + 0.01) * 1000 / step_cost.SHARE
    monkeypatch.setattr(step_cost, "free_memory", lambda: free)
    assert fitting_batch(yolox, sizes, STEP) == batch


def test_a_system_that_does_not_tell_its_memory(sizes, yolox, monkeypatch):
    monkeypatch.setattr(step_cost, "free_memory", lambda: None)
    assert fitting_batch(yolox, sizes, STEP) == 6


def test_bytes_of_a_step_follow_the_pixels(tmp_path, yolox, monkeypatch):
    load, resize, pack = PIPELINE

    def needed(*shapes, **options):
        pipeline = PipelineSample([load, {**resize, **options}, pack])
        monkeypatch.setattr(yolox, "prepare", pipeline)
        paths = [tmp_path / f"{number}.png" for number in range(len(shapes))]
        for path, shape in zip(paths, shapes, strict=True):
            cv2.imwrite(str(path), np.zeros((*shape, 3), np.uint8))
        return step_cost._bytes_per_photo(yolox, paths, STEP)

    small = needed((64, 64), scale=(128, 128))  # below, the detector's weights would count
    images = 128 * 128 * 3 * 4
    assert 10 * images < small < 1000 * images
    assert needed((64, 64), scale=(256, 256)) == pytest.approx(4 * small, rel=0.2)
    alone, both = (
        needed(*shapes, scale=(128, 128), keep_ratio=True)
        for shapes in ([(64, 128)], [(64, 128), (128, 64)])
    )
    assert both == pytest.approx(2 * alone)  # together they are padded to a square


@pytest.fixture
def cuda(monkeypatch):
    """Pretend a device on which so many photos fit; a call returns the steps that are tried."""

    def pretend(fitting: int) -> list[list[Path]]:
        def step(detector, photos, schedule):
            tried.append(photos)
            if len(photos) > fitting:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")

        tried: list[list[Path]] = []
        monkeypatch.setattr(step_cost, "_batch", lambda detector, photos: photos)
        monkeypatch.setattr(step_cost, "_step", step)
        return tried

    return pretend


CUDA = SimpleNamespace(device=torch.device("cuda"))


@pytest.mark.parametrize(("fitting", "batch"), [(8, 6), (3, 3), (2, 1)])
def test_on_cuda_steps_are_tried(sizes, cuda, fitting, batch):
    tried = cuda(fitting)
    assert fitting_batch(CUDA, sizes, STEP) == batch
    assert len(tried[-1]) == batch
    shapes = [width / height for height, width in map(sizes.get, tried[0])]
    assert shapes[:2] == [max(shapes), min(shapes)]


def test_on_cuda_not_even_one_photo_fits(sizes, cuda):
    tried = cuda(0)
    with pytest.raises(ValueError, match="not even a step with one photo fits into the memory of"):
        fitting_batch(CUDA, sizes, STEP)
    assert list(map(len, tried)) == [6, 3, 1]


def test_free_memory_is_some():
    assert 1e6 < free_memory() < 1e14


def test_what_is_left_of_a_containers_limit(tmp_path, monkeypatch):
    (tmp_path / "memory.max").write_text("3000\n")
    (tmp_path / "memory.current").write_text("2500\n")
    (tmp_path / "memory.stat").write_text("anon 1200\ninactive_file 400\n")
    assert list(step_cost._left_in_control_groups(tmp_path)) == [900]
    (tmp_path / "memory.max").write_text("max\n")
    assert list(step_cost._left_in_control_groups(tmp_path)) == []


def test_workers_are_for_cuda_alone(monkeypatch):
    assert default_workers(torch.device("cpu")) == 0
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)))
    assert default_workers(torch.device("cuda")) == 5
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    assert default_workers(torch.device("cuda")) == 8
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert default_workers(torch.device("cuda")) == 0
