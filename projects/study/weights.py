"""The steps that make the study's data and weights."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.config import Config

from projects.study.arms import ARMS, EVALUATION, RECALIBRATION, VANILLA_SEED, Arm, find_arm
from projects.study.layout import Layout
from projects.study.settings import phases_of, settings_of, training_sections
from projects.study.steps import ROOT, Step

RESTORER = Arm("restorer", "restorer", "spdnet_rain", start=None)
"""Trained once, for all detectors behind it."""

DATA_SECONDS, EPOCH_SECONDS = 120.0, 75.0  # of one thread, and with all of the images


@dataclass(frozen=True)
class Weights:
    """A checkpoint that is there, or that steps make.

    Attributes:
        checkpoint: A file, or whatever else mmengine can load.
        settings: Identifies what it depends on.
        needs: Names of the steps that make it, the last of them first.
        work_dir: Where it was trained, if a step trains it.
    """

    checkpoint: str
    settings: str
    needs: tuple[str, ...] = ()
    work_dir: Path | None = None


class WeightsPlanner:
    """Collect the steps to the weights of arms, each step once.

    Args:
        layout: The study.

    Attributes:
        steps: What was collected, each step after what it needs.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._by_name: dict[str, Step] = {}

    @property
    def steps(self) -> list[Step]:
        """What was collected, each step after what it needs."""
        return list(self._by_name.values())

    def add(
        self,
        what: str,
        settings: str,
        command: tuple[str, ...],
        *,
        seconds: float,
        is_there: Callable[[], bool],
        **fields: Any,
    ) -> Step:
        """Collect a step, named after what it does and with which settings."""
        name = f"{what} ({settings[:8]})"
        step = Step(name, command, seconds, settings=settings, is_there=is_there, **fields)
        return self._by_name.setdefault(name, step)

    def add_run(
        self,
        what: str,
        tool: str,
        config: str,
        folder: Path,
        *arguments: object,
        options: Mapping[str, Any],
        **fields: Any,
    ) -> Step:
        """Collect a run of a tool on a config, which is first written into its work dir."""
        file = self._layout.config_file(folder, config)
        command = tool_command(tool, file, *arguments, "--work-dir", folder)
        prepare = partial(self._layout.write_config, config, file, dict(options))
        return self.add(what, command=command, prepare=prepare, **fields)

    def data(self) -> tuple[str, ...]:
        """Return the step that makes the data, or nothing where it is there."""
        layout = self._layout
        if layout.has_data():
            return ()
        settings = settings_of(layout.data_identity())
        command = tool_command("make_study_coco", layout.data)
        step = self.add(
            "make the data", settings, command, seconds=DATA_SECONDS, is_there=layout.has_data
        )
        return (step.name,)

    def weights(self, arm: Arm, seed: int) -> Weights:
        """Return the weights that an arm is tested with."""
        if arm.start is None:
            published = self._layout.load(arm.config).load_from
            if published:
                return Weights(published, settings_of(published))
            return self._train(arm, VANILLA_SEED, None)
        start = self.weights(find_arm(arm.start), seed)
        if arm.kind == EVALUATION:
            return start
        make = self._recalibrate if arm.kind == RECALIBRATION else self._train
        return make(arm, seed, start)

    def restorer(self, arm: Arm) -> Weights | None:
        """Return the weights of the restorer before an arm's detector, if it needs some."""
        if not needs_restorer(self._layout.load(arm.config)):
            return None
        return self._train(RESTORER, VANILLA_SEED, None)

    def _teacher(self, arm: Arm) -> Weights | None:
        """Return the vanilla detector where it teaches."""
        if not self._layout.load(arm.config).model.get("consistency_weight"):
            return None
        return self.weights(ARMS[0], VANILLA_SEED)

    def _train(self, arm: Arm, seed: int, start: Weights | None) -> Weights:
        layout, cfg = self._layout, self._layout.load(arm.config)
        restorer, teacher = self.restorer(arm), self._teacher(arm)
        sources = [weights for weights in (start, restorer, teacher) if weights]
        settings = self._settings(cfg, seed, sources)
        work_dir = layout.weights / f"{arm.config}_seed{seed}_{settings[:8]}"
        options = seed_options(cfg, seed)
        options |= {"load_from": start.checkpoint} if start else {}
        options |= restorer_options(restorer.checkpoint) if restorer else {}
        options |= {"model.teacher": teacher.checkpoint} if teacher else {}
        epochs = cfg.train_cfg.max_epochs
        step = self.add_run(
            f"train {arm.config}, seed {seed}",
            "train",
            arm.config,
            work_dir,
            options=options,
            settings=settings,
            seconds=epochs * _epoch_seconds(cfg),
            needs=(*self.data(), *(name for weights in sources for name in weights.needs)),
            is_there=(work_dir / f"epoch_{epochs}.pth").is_file,
            work_dir=work_dir,
            epochs=epochs,
        )
        epoch = _tested_epoch(cfg, arm)
        checkpoint = str(work_dir / f"epoch_{epoch}.pth")
        return Weights(checkpoint, settings_of(settings, epoch), (step.name,), work_dir)

    def _recalibrate(self, arm: Arm, seed: int, start: Weights) -> Weights:
        layout, cfg = self._layout, self._layout.load(arm.config)
        settings = self._settings(cfg, seed, [start])
        work_dir = layout.weights / f"{arm.config}_seed{seed}_{settings[:8]}"
        out = work_dir / "recalibrated.pth"
        step = self.add_run(
            f"recalibrate {arm.config}, seed {seed}",
            "recalibrate_bn",
            arm.config,
            work_dir,
            start.checkpoint,
            "--out",
            out,
            options=seed_options(cfg, seed),
            settings=settings,
            seconds=_epoch_seconds(cfg) / 2,
            needs=(*self.data(), *start.needs),
            is_there=out.is_file,
        )
        return Weights(str(out), settings, (step.name,))

    def _settings(self, cfg: Config, seed: int, sources: list[Weights]) -> str:
        before = [weights.settings for weights in sources]
        return settings_of(training_sections(cfg), seed, self._layout.data_identity(), before)


def tool_command(name: str, *arguments: object) -> tuple[str, ...]:
    """Return the command of ``tools/<name>.py``."""
    return (sys.executable, str(ROOT / f"tools/{name}.py"), *map(str, arguments))


def seed_options(cfg: Config, seed: int) -> dict[str, Any]:
    """Vary all that is drawn: order, noise, augmentations, rain and the sizes of batches.

    What is drawn follows from seed and epoch, so arms of a seed see the same as far as their
    epochs are the same; sizes of batches follow from seed and iteration.
    """
    options: dict[str, Any] = {"randomness.seed": seed}
    if "seed" in cfg.train_dataloader.dataset:
        options["train_dataloader.dataset.seed"] = seed
    for index, augment in enumerate(_preprocessor(cfg).get("batch_augments") or ()):
        if augment["type"] == "BatchRandomResize":
            options[f"model.data_preprocessor.batch_augments.{index}.seed"] = seed
    return options


def needs_restorer(cfg: Config) -> bool:
    """Whether the detector stands behind a restorer whose weights the config does not name."""
    restorer = _preprocessor(cfg).get("restorer")
    return restorer is not None and not restorer.get("init_cfg")


def restorer_options(checkpoint: str) -> dict[str, Any]:
    """Give the restorer before a detector the weights of a training of its own."""
    weights = dict(type="Pretrained", checkpoint=checkpoint, prefix="restorer.")
    return {"model.data_preprocessor.restorer.init_cfg": weights}


def _preprocessor(cfg: Config) -> dict:
    return cfg.model.get("data_preprocessor") or {}


def _epoch_seconds(cfg: Config) -> float:
    return EPOCH_SECONDS * cfg.get("percent", 100) / 100


def _tested_epoch(cfg: Config, arm: Arm) -> int:
    epochs = cfg.train_cfg.max_epochs
    if arm.phase is None:
        return epochs
    phases = phases_of(cfg)
    if arm.phase > len(phases):
        raise ValueError(
            f"arm {arm.name} is tested after phase {arm.phase}, but {arm.config} has {len(phases)}"
        )
    epoch = phases[arm.phase - 1]["epochs"][1] or epochs
    keep = cfg.default_hooks.checkpoint.get("max_keep_ckpts", -1)
    if 0 < keep <= epochs - epoch:
        raise ValueError(
            f"arm {arm.name} is tested after epoch {epoch}, but {arm.config} keeps only its last "
            f"{keep} of {epochs} checkpoints: set default_hooks.checkpoint.max_keep_ckpts=-1 there"
        )
    return epoch
