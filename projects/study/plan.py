"""What the study does: the project's own commands, from the results that are missing backward."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from mmengine.config import Config

from projects.study.arms import EMBEDDED, EVALUATION, Arm
from projects.study.layout import Layout
from projects.study.settings import settings_of, testing_sections
from projects.study.steps import ROOT, Step, steps_left
from projects.study.steps.run_steps import record_file
from projects.study.weights import Weights, WeightsPlanner, restorer_options

RECORD_SECONDS, DIAGNOSIS_SECONDS, TIMING_SECONDS = 60.0, 30.0, 120.0
IMAGES, IMAGE_SECONDS, RESTORED_IMAGE_SECONDS = 500, 0.04, 1.0  # of one under one condition


def plan_steps(layout: Layout, arms: Sequence[Arm], seeds: Sequence[int]) -> list[Step]:
    """Return the steps to the results that are missing, each after what it needs.

    A result is there if its json is, made with the settings that the configs have now. Names of
    steps and folders end in their settings: what a changed config gives comes beside the old.

    Raises:
        FileNotFoundError: There is no data where it is not made here.
        ValueError: A config does not keep the checkpoint that an arm needs.
    """
    planner = _Planner(layout)
    for arm in arms:
        first, *others = arm.seeds(seeds)
        planner.add_record(arm, first, diagnosed=arm.images is None)
        for seed in others:
            planner.add_record(arm, seed)
    left = steps_left(planner.steps, lambda step: step.name in planner.recorded)
    left += planner.timing(arms, after=left)
    if layout.family != EMBEDDED and left and not layout.has_data():
        raise FileNotFoundError(
            f"there is no {layout.annotations('train')}, or not that of another split: say with "
            "--data where the COCO-format data is"
        )
    return left


class _Planner(WeightsPlanner):
    """Collect the steps to the records of arms.

    Attributes:
        recorded: Names of the steps whose result is there.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self.recorded: set[str] = set()

    def add_record(self, arm: Arm, seed: int, *, diagnosed: bool = False) -> None:
        layout, weights = self._layout, self.weights(arm, seed)
        cfg = layout.load(arm.config)
        annotations, listing = self._annotations(cfg, arm)
        test, work_dir = self._add_test(arm, seed, weights, annotations, listing)
        config = portable(layout.config_file(work_dir, arm.config))
        self._add_result(
            f"record {arm.name} on {layout.split}, seed {seed}",
            test,
            layout.record_file(arm, seed),
            (
                "record", "--tested", work_dir, *self._training_of(arm, weights),
                "--arm", arm.name, "--title", arm.title, "--seed", seed, "--split", layout.split,
                "--annotations", annotations, "--checkpoint", portable(weights.checkpoint),
                # As the test left it, with all that its command line changed.
                "--config", config,
            ),
            seconds=RECORD_SECONDS,
        )  # fmt: skip
        if diagnosed:
            self._add_result(
                f"diagnose {arm.name} on {layout.split}",
                test,
                layout.diagnosis_file(arm),
                ("diagnosis", config, weights.checkpoint),
                seconds=DIAGNOSIS_SECONDS,
            )

    def _add_result(
        self, what: str, test: Step, out: Path, arguments: Sequence[object], *, seconds: float
    ) -> None:
        """Collect a step that leaves a json with the settings of the test that it is about."""
        name, *others = arguments
        is_there = partial(_is_recorded, out, test.settings)
        step = self.add(
            what,
            test.settings,
            module_command(str(name), *others, "--out", out, "--settings", test.settings),
            seconds=seconds,
            needs=(test.name,),
            is_there=is_there,
        )
        if is_there():
            self.recorded.add(step.name)

    def timing(self, arms: Sequence[Arm], *, after: Sequence[Step]) -> list[Step]:
        """Return the step that times the arms' detectors when nothing else runs, if it must."""
        layout, names = self._layout, [arm.name for arm in arms]
        out = layout.results / "latency.json"
        is_there = partial(_are_timed, out, names)
        if is_there():
            return []
        step = self.add(
            "time the detectors",
            settings_of(names),
            module_command("latency", "--family", layout.family, "--out", out),
            seconds=TIMING_SECONDS,
            needs=tuple(step.name for step in after),
            is_there=is_there,
        )
        return [step]

    def _add_test(
        self, arm: Arm, seed: int, weights: Weights, annotations: Path, listing: tuple[str, ...]
    ) -> tuple[Step, Path]:
        layout, cfg, restorer = self._layout, self._layout.load(arm.config), self.restorer(arm)
        settings = settings_of(
            testing_sections(cfg), weights.settings, restorer.settings if restorer else None,
            layout.data_identity(), layout.split, arm.images,
        )  # fmt: skip
        name = f"{arm.name}_{layout.split}_seed{seed}_{settings[:8]}"
        work_dir = layout.folder / "test" / name
        predictions = work_dir / "predictions.pkl"
        options = restorer_options(restorer.checkpoint) if restorer else {}
        if layout.split != "test" or arm.images is not None:
            options |= split_options(cfg, layout, annotations)
        if "consistency_weight" in cfg.model:
            options["model.consistency_weight"] = 0  # its teacher is for training
        each = RESTORED_IMAGE_SECONDS if restorer else IMAGE_SECONDS
        step = self.add_run(
            f"test {arm.name} on {layout.split}, seed {seed}",
            "test",
            arm.config,
            work_dir,
            weights.checkpoint,
            "--out",
            predictions,
            options=options,
            settings=settings,
            seconds=each * (arm.images or IMAGES) * len(cfg.test_dataloader.dataset.datasets),
            needs=(*self.data(), *listing, *weights.needs, *(restorer.needs if restorer else ())),
            is_there=predictions.is_file,
        )
        return step, work_dir

    def _training_of(self, arm: Arm, weights: Weights) -> list[str]:
        """Return the options that tell of the training, where the arm has one."""
        options: list[str] = []
        if arm.kind != EVALUATION and weights.needs:
            options += ["--timing", str(record_file(self._layout.folder, weights.needs[0]))]
            if weights.work_dir is not None:
                options += ["--scalars", portable(weights.work_dir)]
        return options

    def _annotations(self, cfg: Config, arm: Arm) -> tuple[Path, tuple[str, ...]]:
        """Return the annotations that an arm is tested on, and the step that makes them."""
        layout = self._layout
        file = layout.annotations_of_test(cfg)
        if arm.images is None:
            return file, ()
        settings = settings_of(layout.data_identity(), layout.split, arm.images)
        out = layout.folder / "annotations" / f"{layout.split}_{arm.images}_{settings[:8]}.json"
        step = self.add(
            f"list the first {arm.images} images of {layout.split}",
            settings,
            module_command("first_images", file, arm.images, out),
            seconds=2,
            needs=self.data(),
            is_there=out.is_file,
        )
        return out, (step.name,)


def module_command(name: str, *arguments: object) -> tuple[str, ...]:
    """Return the command of ``projects.study.<name>``."""
    return (sys.executable, "-m", f"projects.study.{name}", *map(str, arguments))


def split_options(cfg: Config, layout: Layout, annotations: Path) -> dict[str, str]:
    """Move all test conditions to a split and to the images that ``annotations`` has."""
    options = {}
    for index in range(len(cfg.test_dataloader.dataset.datasets)):
        dataset = f"test_dataloader.dataset.datasets.{index}"
        if layout.split != "test":
            options[f"{dataset}.data_prefix.img"] = f"{layout.data / layout.split}2017/"
        options[f"{dataset}.ann_file"] = str(annotations)
        options[f"test_evaluator.metrics.{index}.ann_file"] = str(annotations)
    return options


def portable(path: str | Path) -> str:
    """Return a path below the checkout as relative to it: results tell nothing of the machine."""
    return str(path).removeprefix(f"{ROOT}/")


def _is_recorded(file: Path, settings: str) -> bool:
    return file.is_file() and json.loads(file.read_text()).get("settings") == settings


def _are_timed(file: Path, names: Sequence[str]) -> bool:
    return file.is_file() and set(names) <= json.loads(file.read_text())["arms"].keys()
