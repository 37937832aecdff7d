"""The steps that make the study's data and weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from projects.study.arms import ARMS, EVALUATION, RECALIBRATION, VANILLA_SEED, Arm, find_arm
from projects.study.layout import Layout
from projects.study.options import (
    lacks_restorer,
    overrides,
    restorer_options,
    seed_options,
    tool,
)
from projects.study.settings import settings_of, training_sections
from projects.study.steps import Step

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

    def data(self) -> tuple[str, ...]:
        """Return the step that makes the data, or nothing where it is there."""
        layout = self._layout
        if layout.has_data():
            return ()
        settings = settings_of(layout.data_identity())
        command = tool("make_study_coco", layout.data)
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
        if not lacks_restorer(self._layout.load(arm.config)):
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
        given = [weights for weights in (start, restorer, teacher) if weights]
        settings = self._settings(cfg, seed, given)
        work_dir = layout.weights / f"{arm.config}_seed{seed}_{settings[:8]}"
        options = [
            *seed_options(cfg, seed),
            *([f"load_from={start.checkpoint}"] if start else []),
            *(restorer_options(restorer.checkpoint) if restorer else []),
            *([f"model.teacher={teacher.checkpoint}"] if teacher else []),
        ]
        file, epochs = layout.config_file(arm.config), cfg.train_cfg.max_epochs
        step = self.add(
            f"train {arm.config}, seed {seed}",
            settings,
            tool("train", file, "--work-dir", work_dir, *overrides(layout, options)),
            seconds=epochs * _epoch_seconds(cfg),
            needs=(*self.data(), *(name for weights in given for name in weights.needs)),
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
        file, options = layout.config_file(arm.config), overrides(layout, seed_options(cfg, seed))
        step = self.add(
            f"recalibrate {arm.config}, seed {seed}",
            settings,
            tool(
                "recalibrate_bn",
                file,
                start.checkpoint,
                "--out",
                out,
                "--work-dir",
                work_dir,
                *options,
            ),
            seconds=_epoch_seconds(cfg) / 2,
            needs=(*self.data(), *start.needs),
            is_there=out.is_file,
        )
        return Weights(str(out), settings, (step.name,))

    def _settings(self, cfg: Config, seed: int, given: list[Weights]) -> str:
        before = [weights.settings for weights in given]
        return settings_of(training_sections(cfg), seed, self._layout.data_identity(), before)


def _epoch_seconds(cfg: Config) -> float:
    return EPOCH_SECONDS * cfg.get("percent", 100) / 100


def _tested_epoch(cfg: Config, arm: Arm) -> int:
    epochs = cfg.train_cfg.max_epochs
    if arm.phase is None:
        return epochs
    hooks = [hook for hook in cfg.custom_hooks if hook["type"] == "PhasedTrainingHook"]
    found = (hooks[0].get("phases") or cfg.get("phases") or []) if hooks else []
    phases = list(found.values()) if isinstance(found, dict) else found
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
