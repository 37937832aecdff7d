"""Where a study's data, configs and results are."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mmengine.config import Config

from projects.study.arm_configs import arm_config, write_config
from projects.study.arms import ARMS, EMBEDDED, Arm
from projects.study.coco_folder import SIZES_OF_SPLITS, STUDY


@dataclass(frozen=True)
class Layout:
    """One study: a family of configs on one data set.

    Attributes:
        family: Which detector and data, see ``arm_configs.FAMILIES``.
        folder: Where commands write.
        results: Folder of the results that are kept.
        split: ``test``, on which the configs test, or ``val``, to choose variants on.
        given_data: Folder of the COCO-format data; None is the ``data_root`` of the configs.
        configs: ``configs(family, name, options)`` gives a config.
    """

    family: str
    folder: Path
    results: Path
    split: str = "test"
    given_data: Path | None = None
    configs: Callable[..., Config] = arm_config

    @property
    def data(self) -> Path:
        """Folder of the data."""
        return (self.given_data or Path(self.load(ARMS[0].config).data_root)).resolve()

    @property
    def weights(self) -> Path:
        """Where weights are made."""
        return self.folder / "train"

    def load(self, name: str) -> Config:
        """Return a config as it is; its data root is that of its base."""
        return _load(self.configs, self.family, name)

    def config_file(self, work_dir: Path, name: str) -> Path:
        """Return where the command that works in ``work_dir`` finds its config."""
        return work_dir / f"{self.family}_{name}.py"

    def write_config(self, name: str, file: Path, options: dict[str, Any]) -> None:
        """Write a config for the study's data, with further options, as one file."""
        options = {"data_root": str(self.data), **options}
        write_config(self.configs(self.family, name, options), file)

    def record_file(self, arm: Arm, seed: int) -> Path:
        """Return where the result of an arm and seed is kept."""
        return self.results / "arms" / arm.name / f"{self.split}_seed{seed}.json"

    def diagnosis_file(self, arm: Arm) -> Path:
        """Return where the diagnosis of an arm is kept, of the first of its seeds."""
        return self.results / "diagnosis" / f"{self.split}_{arm.name}.json"

    def annotations(self, split: str) -> Path:
        """Return the annotations of a split."""
        return self.data / "annotations" / f"instances_{split}2017.json"

    def annotations_of_test(self, cfg: Config) -> Path:
        """Return the annotations that ``cfg`` is tested on in this study."""
        if self.split != "test":
            return self.annotations(self.split)
        written = Path(cfg.test_dataloader.dataset.datasets[0].ann_file)
        if written.is_relative_to(cfg.data_root):
            return self.data / written.relative_to(cfg.data_root)
        return written

    def has_data(self) -> bool:
        """Whether the data is there; the embedded data is written in this order."""
        splits = SIZES_OF_SPLITS if self.family == EMBEDDED else ("train", "val")
        return all(self.annotations(split).is_file() for split in splits)

    def data_identity(self) -> Any:
        """Return what embedded data was made with, or will be; None for other data.

        Raises:
            ValueError: It was made by another version of the project.
        """
        marker = self.data / STUDY.marker
        if not marker.is_file():
            wanted = dict(version=STUDY.version, seed=0, num_images=SIZES_OF_SPLITS)
            return wanted if self.family == EMBEDDED else None
        found = json.loads(marker.read_text())
        if found["version"] != STUDY.version:
            raise ValueError(
                f"{self.data} holds study data of version {found['version']}, this is version "
                f"{STUDY.version}: delete it, or choose another folder with --data"
            )
        return found


@cache
def _load(configs: Callable[..., Config], family: str, name: str) -> Config:
    return configs(family, name)
