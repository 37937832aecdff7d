"""Command lines of the study's steps."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from projects.study.layout import Layout
from projects.study.steps import ROOT


def tool(name: str, *arguments: object) -> tuple[str, ...]:
    """Return the command of ``tools/<name>.py``."""
    return (sys.executable, str(ROOT / f"tools/{name}.py"), *map(str, arguments))


def module(name: str, *arguments: object) -> tuple[str, ...]:
    """Return the command of ``projects.study.<name>``."""
    return (sys.executable, "-m", f"projects.study.{name}", *map(str, arguments))


def overrides(layout: Layout, options: Sequence[str]) -> tuple[str, ...]:
    """Return the options that change a config, first of all to the study's data."""
    return ("--cfg-options", f"data_root={layout.data}", *options)


def seed_options(cfg: Config, seed: int) -> list[str]:
    """Vary all that is drawn: order, noise, augmentations, rain and the sizes of batches.

    What is drawn follows from seed and epoch, so arms of a seed see the same as far as their
    epochs are the same; sizes of batches follow from seed and iteration.
    """
    options = [f"randomness.seed={seed}"]
    if "seed" in cfg.train_dataloader.dataset:
        options.append(f"train_dataloader.dataset.seed={seed}")
    augments = _preprocessor(cfg).get("batch_augments") or ()
    for place, augment in enumerate(augments):
        if augment["type"] == "BatchRandomResize":
            options.append(f"model.data_preprocessor.batch_augments.{place}.seed={seed}")
    return options


def lacks_restorer(cfg: Config) -> bool:
    """Whether the detector stands behind a restorer whose weights the config does not name."""
    restorer = _preprocessor(cfg).get("restorer")
    return restorer is not None and not restorer.get("init_cfg")


def restorer_options(checkpoint: str) -> list[str]:
    """Give the restorer before a detector the weights of a training of its own."""
    option = "model.data_preprocessor.restorer.init_cfg"
    values = dict(type="Pretrained", checkpoint=checkpoint, prefix="restorer.")
    return [f"{option}.{key}={value}" for key, value in values.items()]


def split_options(cfg: Config, layout: Layout, annotations: Path) -> list[str]:
    """Move all test conditions to a split and to the images that ``annotations`` has."""
    images = layout.data / f"{layout.split}2017"
    options = []
    for place in range(len(cfg.test_dataloader.dataset.datasets)):
        dataset = f"test_dataloader.dataset.datasets.{place}"
        if layout.split != "test":
            options.append(f"{dataset}.data_prefix.img={images}/")
        options.append(f"{dataset}.ann_file={annotations}")
        options.append(f"test_evaluator.metrics.{place}.ann_file={annotations}")
    return options


def portable(path: str | Path) -> str:
    """Return a path below the checkout as relative to it: results tell nothing of the machine."""
    return str(path).removeprefix(f"{ROOT}/")


def _preprocessor(cfg: Config) -> dict:
    return cfg.model.get("data_preprocessor") or {}
