"""What the demo does: the project's own commands, in order."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from derain_plugin.config import load_config

ROOT = Path(__file__).parents[2]
VANILLA, CONTROL, DERAINED = "toy_rtdetr_coco", "toy_finetune_mix", "toy_featderain_ms"


@dataclass(frozen=True)
class Step:
    """One command of the demo.

    Attributes:
        name: For people and for the files of the step; unique.
        command: Program and arguments.
        seconds: How long it took for ``results/demo``; tells the time left.
        work_dir: Where it trains, if it does.
        epochs: How many epochs it trains.
    """

    name: str
    command: tuple[str, ...]
    seconds: float
    work_dir: Path | None = None
    epochs: int = 0


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
    configs: Path = ROOT / "configs" / "toy"

    def load(self, config: str) -> Config:
        """Load a toy config for this demo's data."""
        return load_config(self._file(config), dict(data_root=str(self.data)))

    @property
    def models(self) -> list[Model]:
        """The rows of the table."""
        phases = self.load(DERAINED).custom_hooks[0]["phases"]
        untouched, joint = (phase["epochs"][1] for phase in phases)
        return [
            Model("vanilla, clean images only", VANILLA, self._epochs(VANILLA)),
            Model("control: fine-tuned on the mix", CONTROL, self._epochs(CONTROL)),
            Model("multi-scale, phase 1 alone", DERAINED, untouched),
            Model("multi-scale, both phases", DERAINED, joint),
        ]

    @property
    def stages(self) -> list[list[Step]]:
        """The commands that make everything the report needs; those of a stage can run at once."""
        make = (sys.executable, str(ROOT / "tools/make_toy_coco.py"), str(self.data))
        models = self.models
        start = [f"load_from={self.checkpoint_of(models[0])}"]
        tests = [self._testing(model) for model in models]
        return [
            [Step("make the data", make, 15)],
            [self._training("train vanilla on clean images", VANILLA, [], 410)],
            [
                self._training("train the neck in two phases", DERAINED, start, 165),
                self._training("train the control", CONTROL, start, 130),
            ],
            tests[:2],
            tests[2:],
        ]

    def checkpoint_of(self, model: Model) -> Path:
        """Where the weights of a row lie."""
        return self.folder / model.config / f"epoch_{model.epoch}.pth"

    def test_dir_of(self, model: Model) -> Path:
        """Where a row's evaluation writes."""
        return self.folder / "test" / f"{model.config}_epoch_{model.epoch}"

    def predictions_of(self, model: Model) -> Path:
        """Where a row's evaluation saves what it predicted."""
        return self.test_dir_of(model) / "predictions.pkl"

    def _training(self, name: str, config: str, options: Sequence[str], seconds: float) -> Step:
        work_dir = self.folder / config
        command = self._tool("train", config, work_dir, options)
        return Step(name, command, seconds, work_dir=work_dir, epochs=self._epochs(config))

    def _testing(self, model: Model) -> Step:
        checkpoint = str(self.checkpoint_of(model))
        saved = str(self.predictions_of(model))
        work_dir = self.test_dir_of(model)
        command = self._tool("test", model.config, work_dir, [], checkpoint, "--out", saved)
        return Step(f"test {model.title}", command, 60)

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
