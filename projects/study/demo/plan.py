"""What the demo does: the project's own commands, in order."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmengine.config import Config

from derain_plugin.config import load_config
from derain_plugin.rain.seeding import RENDERER_VERSION
from derain_plugin.version import __version__
from projects.study.settings import phases_of
from projects.study.steps import ROOT, Step
from projects.study.toy.coco_folder import TOY_VERSION

JOBS = 2
"""How many commands run at once."""

VANILLA, CONTROL, DERAINED = "toy_rtdetr_coco", "toy_finetune_mix", "toy_featderain_ms"


@dataclass(frozen=True)
class Model:
    """A trained detector: one row of the table.

    Attributes:
        title: Name of the row.
        config: Name of its config.
        epoch: The epoch of its training that is evaluated.
    """

    title: str
    config: str
    epoch: int


@dataclass(frozen=True)
class Plan:
    """The commands and files of one demo.

    Attributes:
        folder: Where everything is written.
        data: Folder of the embedded data.
        configs: Folder of the toy configs.
    """

    folder: Path
    data: Path
    configs: Path = ROOT / "projects/study/configs/toy"

    def load(self, config: str) -> Config:
        """Load a toy config for this demo's data."""
        return load_config(self._file(config), dict(data_root=str(self.data)))

    @property
    def models(self) -> list[Model]:
        """The rows of the table."""
        untouched, joint = (phase["epochs"][1] for phase in phases_of(self.load(DERAINED)))
        return [
            Model("vanilla, clean images only", VANILLA, self._epochs(VANILLA)),
            Model("control: fine-tuned on the mix", CONTROL, self._epochs(CONTROL)),
            Model("multi-scale, phase 1 alone", DERAINED, untouched),
            Model("multi-scale, both phases", DERAINED, joint),
        ]

    @property
    def settings(self) -> str:
        """Everything that decides the result, but for the code."""
        configs = [self.load(name).to_dict() for name in (VANILLA, DERAINED, CONTROL)]
        versions = [__version__, TOY_VERSION, RENDERER_VERSION]
        text = json.dumps([versions, configs], default=str, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def steps(self) -> list[Step]:
        """The commands that make everything the report needs."""
        make = (sys.executable, str(ROOT / "tools/make_toy_coco.py"), str(self.data))
        data = Step("make the data", make, 15)
        vanilla = self._training("train vanilla on clean images", VANILLA, [], 410, data)
        start = [f"load_from={self.checkpoint_of(self.models[0])}"]
        neck = self._training("train the neck in two phases", DERAINED, start, 165, vanilla)
        control = self._training("train the control", CONTROL, start, 130, vanilla)
        trained = [vanilla, control, neck, neck]
        tests = [self._testing(*pair) for pair in zip(self.models, trained, strict=True)]
        settings = self.settings
        return [replace(step, settings=settings) for step in (data, vanilla, neck, control, *tests)]

    def checkpoint_of(self, model: Model) -> Path:
        """Where the weights of a row lie."""
        return self.folder / model.config / f"epoch_{model.epoch}.pth"

    def test_dir_of(self, model: Model) -> Path:
        """Where a row's evaluation writes."""
        return self.folder / "test" / f"{model.config}_epoch_{model.epoch}"

    def predictions_of(self, model: Model) -> Path:
        """Where a row's evaluation saves what it predicted."""
        return self.test_dir_of(model) / "predictions.pkl"

    def _training(
        self, name: str, config: str, options: Sequence[str], seconds: float, needed: Step
    ) -> Step:
        work_dir = self.folder / config
        return Step(
            name,
            self._tool("train", config, work_dir, options),
            seconds,
            needs=(needed.name,),
            work_dir=work_dir,
            epochs=self._epochs(config),
        )

    def _testing(self, model: Model, training: Step) -> Step:
        checkpoint = str(self.checkpoint_of(model))
        saved = str(self.predictions_of(model))
        work_dir = self.test_dir_of(model)
        command = self._tool("test", model.config, work_dir, [], checkpoint, "--out", saved)
        return Step(f"test {model.title}", command, 60, needs=(training.name,))

    def _tool(
        self, tool: str, config: str, work_dir: Path, options: Sequence[str], *arguments: str
    ) -> tuple[str, ...]:
        return (
            sys.executable, str(ROOT / f"tools/{tool}.py"), str(self._file(config)), *arguments,
            "--work-dir", str(work_dir), "--cfg-options", f"data_root={self.data}", *options,
        )  # fmt: skip

    def _file(self, config: str) -> Path:
        return self.configs / f"{config}.py"

    def _epochs(self, config: str) -> int:
        return self.load(config).train_cfg.max_epochs
