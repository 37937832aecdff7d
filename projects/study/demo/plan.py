"""What the demo does: the project's own commands, in order."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mmengine.config import Config

from derain_plugin.adapting.plan import RECORD
from derain_plugin.config import load_config
from derain_plugin.rain.seeding import RENDERER_VERSION
from derain_plugin.version import __version__
from projects.study.steps import ROOT, Step
from projects.study.toy.coco_folder import TOY_VERSION

JOBS = 2
"""How many commands run at once."""

ITERATIONS, BATCH_SIZE = 250, 8
"""Of ``derain-adapt``: together as many samples as the control is trained on."""

LEARNING_RATE = 3e-3
"""Of ``derain-adapt``: the toy's features need more than a detector's of photographs."""


@dataclass(frozen=True)
class Model:
    """A detector: one row of the table.

    Attributes:
        title: Name of the row.
        config: Name of its config.
        is_adapted: Whether the adapter is in it.
    """

    title: str
    config: str
    is_adapted: bool = False


VANILLA = Model("vanilla, clean images only", "toy_rtdetr_coco")
CONTROL = Model("control: fine-tuned with labels", "toy_finetune_mix")
ADAPTED = Model("adapted without labels", VANILLA.config, is_adapted=True)
MODELS = VANILLA, CONTROL, ADAPTED


@dataclass(frozen=True)
class Plan:
    """The commands and files of one demo.

    Attributes:
        folder: Where everything is written.
        data: Folder of the embedded data.
        configs: Folder of the toy configs.
        iterations: How long the adapter trains.
    """

    folder: Path
    data: Path
    configs: Path = ROOT / "projects/study/configs/toy"
    iterations: int = ITERATIONS

    def load(self, config: str) -> Config:
        """Load a toy config for this demo's data."""
        return load_config(self._file(config), dict(data_root=str(self.data)))

    @property
    def adapter(self) -> Path:
        """Folder of the adapter."""
        return self.folder / "adapted"

    @property
    def merged(self) -> Path:
        """Folder of the vanilla detector with the adapter inside, as ``merge`` writes it."""
        return self.folder / "adapted_merged"

    @property
    def settings(self) -> str:
        """Everything that decides the result, but for the code."""
        configs = [self.load(model.config).to_dict() for model in (VANILLA, CONTROL)]
        versions = [__version__, TOY_VERSION, RENDERER_VERSION]
        text = json.dumps([versions, self.iterations, configs], default=str, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def steps(self) -> list[Step]:
        """The commands that make everything the report needs, and what the page shows."""
        make = (sys.executable, str(ROOT / "tools/make_toy_coco.py"), str(self.data))
        data = Step("make the data", make, 15)
        vanilla = self._training("train vanilla on clean images", VANILLA, [], 230, data)
        adapt = self._adapting(vanilla)
        start = [f"load_from={self.checkpoint_of(VANILLA)}"]
        control = self._training("train the control", CONTROL, start, 130, vanilla)
        trained = vanilla, control, adapt
        tests = [self._testing(*pair) for pair in zip(MODELS, trained, strict=True)]
        steps = data, vanilla, adapt, control, *tests, self._merging(adapt)
        settings = self.settings
        return [replace(step, settings=settings) for step in steps]

    def checkpoint_of(self, model: Model) -> Path:
        """Where the weights of a row lie; an adapted one's are vanilla's."""
        return self.folder / model.config / f"epoch_{self._epochs(model.config)}.pth"

    def test_dir_of(self, model: Model) -> Path:
        """Where a row's evaluation writes."""
        return self.folder / "test" / (self.adapter.name if model.is_adapted else model.config)

    def predictions_of(self, model: Model) -> Path:
        """Where a row's evaluation saves what it predicted."""
        return self.test_dir_of(model) / "predictions.pkl"

    def _training(
        self, name: str, model: Model, options: Sequence[str], seconds: float, needed: Step
    ) -> Step:
        work_dir = self.folder / model.config
        return Step(
            name,
            self._tool("train", self._file(model.config), "--work-dir", work_dir, options=options),
            seconds,
            needs=(needed.name,),
            work_dir=work_dir,
            epochs=self._epochs(model.config),
        )

    def _adapting(self, vanilla: Step) -> Step:
        """Adapt to the training images; of their annotations nothing is read."""
        images, out = self.data / "train2017", self.adapter
        length = "--iterations", self.iterations, "--batch-size", BATCH_SIZE
        how = "--lr", LEARNING_RATE
        return Step(
            "adapt vanilla without labels",
            self._tool("adapt", *self._vanilla, images, "--out", out, *length, *how),
            100,
            needs=(vanilla.name,),
            begun=out / RECORD,
            prepare=partial(_remove, out, unless=out / RECORD),
        )

    def _merging(self, adapt: Step) -> Step:
        arguments = "--adapter", self.adapter, "--out", self.merged
        return Step(
            "merge vanilla and adapter",
            self._tool("adapt", "merge", *self._vanilla, *arguments),
            15,
            needs=(adapt.name,),
            prepare=partial(_remove, self.merged),
        )

    def _testing(self, model: Model, training: Step) -> Step:
        command = self._tool(
            "test",
            *(self._file(model.config), self.checkpoint_of(model)),
            *("--work-dir", self.test_dir_of(model), "--out", self.predictions_of(model)),
            *(("--adapter", self.adapter) if model.is_adapted else ()),
        )
        return Step(f"test {model.title}", command, 50, needs=(training.name,))

    def _tool(self, tool: str, *arguments: object, options: Sequence[str] = ()) -> tuple[str, ...]:
        return (
            *(sys.executable, str(ROOT / f"tools/{tool}.py"), *map(str, arguments)),
            *("--cfg-options", f"data_root={self.data}", *options),
        )

    @property
    def _vanilla(self) -> tuple[Path, Path]:
        return self._file(VANILLA.config), self.checkpoint_of(VANILLA)

    def _file(self, config: str) -> Path:
        return self.configs / f"{config}.py"

    def _epochs(self, config: str) -> int:
        return self.load(config).train_cfg.max_epochs


def _remove(folder: Path, *, unless: Path | None = None) -> None:
    """Clear the way for a command that wants a new folder, unless it can go on in it."""
    if unless is None or not unless.is_file():
        shutil.rmtree(folder, ignore_errors=True)
