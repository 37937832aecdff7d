"""The steps of the study on real rain: labels, then each arm and seed trained and measured."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from projects.study.real.arms import VANILLA, RealArm
from projects.study.real.photographs import Photographs
from projects.study.real.records import (
    is_recorded,
    record_file,
    set_settings,
    training_settings,
    wanted_sets,
)
from projects.study.settings import digest_of
from projects.study.steps import Step, steps_left

PREPARE_SECONDS, SET_SECONDS = 20.0, 20.0
ITERATION_SECONDS = dict(neck=1.6, fog=3.0)  # on 2 cores
SLOW_ITERATION_SECONDS = 3.0  # of kinds with gradients in the backbone


@dataclass(frozen=True)
class RealLayout:
    """Where the study's files are.

    Attributes:
        data: Folder of the photographs.
        folder: Where commands write.
        results: Folder of what is kept.
        is_report: Whether the sets for the report are measured, too.
    """

    data: Path
    folder: Path
    results: Path
    is_report: bool = False

    @cached_property
    def photos(self) -> Photographs:
        """The photographs, with their labels."""
        return Photographs(self.data, self.folder / "labels")


def plan_steps(layout: RealLayout, arms: Sequence[RealArm], seeds: Sequence[int]) -> list[Step]:
    """Return the steps to the records that are missing, each after what it needs.

    Raises:
        FileNotFoundError: Something is not in the folder of the data.
    """
    photos, sets = layout.photos, wanted_sets(is_report=layout.is_report)
    photos.check()
    settings = digest_of(photos.identity)
    prepare = Step(
        f"convert the labels {settings[:8]}",
        _command("photographs", photos.data, photos.folder),
        PREPARE_SECONDS,
        settings=settings,
        is_there=partial(_are_there, [photos.annotations(each) for each in sets]),
    )
    steps, recorded = [prepare], set()
    for arm in arms:
        for seed in arm.seeds(seeds):
            trained = training_settings(arm, seed, photos)
            before, weights = prepare, None
            if arm.name != VANILLA:
                before, weights = _training(layout, arm, seed, trained, after=prepare)
                steps.append(before)
            measured = _measuring(layout, arm, seed, trained, after=before, weights=weights)
            steps.append(measured)
            if is_recorded(record_file(layout.results, arm, seed), trained, sets):
                recorded.add(measured.name)
    return steps_left(steps, lambda step: step.name in recorded)


def _training(
    layout: RealLayout, arm: RealArm, seed: int, trained: str, *, after: Step
) -> tuple[Step, Path]:
    """Return the step that trains, and the weights that it leaves."""
    photos = layout.photos
    weights = layout.folder / "train" / f"{arm.name}_seed{seed}_{trained[:8]}.pth"
    step = Step(
        f"train {arm.name}, seed {seed}, {trained[:8]}",
        _command("training", arm.name, seed, photos.data, photos.folder, weights),
        ITERATION_SECONDS.get(arm.kind, SLOW_ITERATION_SECONDS) * arm.recipe.iterations,
        needs=(after.name,),
        settings=trained,
        is_there=weights.is_file,
    )
    return step, weights


def _measuring(
    layout: RealLayout,
    arm: RealArm,
    seed: int,
    trained: str,
    *,
    after: Step,
    weights: Path | None,
) -> Step:
    photos, sets = layout.photos, wanted_sets(is_report=layout.is_report)
    settings = digest_of([set_settings(trained, each) for each in sets])
    found = layout.folder / "predictions" / f"{arm.name}_seed{seed}_{trained[:8]}"
    out = record_file(layout.results, arm, seed)
    options = [*(["--weights", weights] if weights else []), *(["--report"] * layout.is_report)]
    what = "report" if layout.is_report else "selection"
    return Step(
        f"measure {arm.name}, seed {seed}, {what}, {settings[:8]}",
        _command("evaluation", arm.name, seed, photos.data, photos.folder, found, out, *options),
        SET_SECONDS * len(sets),
        needs=(after.name,),
        settings=settings,
        is_there=partial(is_recorded, out, trained, sets),
    )


def _command(module: str, *arguments: object) -> tuple[str, ...]:
    return (sys.executable, "-m", f"projects.study.real.{module}", *map(str, arguments))


def _are_there(files: Sequence[Path]) -> bool:
    return all(file.is_file() for file in files)
