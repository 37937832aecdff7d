"""An exported detector, ready to be timed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from derain_plugin.apis.exported_model import load_exported
from projects.benchmark.setting import Setting
from projects.benchmark.timing import Run


class ExportedArm:
    """One exported file in a benchmark, from uint8 images to boxes in pixels as an ``Arm``.

    It has as many threads as torch. Parameters, FLOPs and memory are not known of it.

    Args:
        path: ``.onnx`` or ``.xml``.
        setting: Circumstances; the precision is the file's own.

    Attributes:
        name: File name, library and precision.
        kind: Library and precision.
        derain: Class name of the de-rain neck in it; None without one.

    Raises:
        ValueError: The file was exported for other circumstances, or another device is wanted.
    """

    def __init__(self, path: str | Path, setting: Setting) -> None:
        if setting.device != "cpu":
            raise ValueError(f"exported files run on the CPU, got device {setting.device!r}")
        self._model = load_exported(path, threads=torch.get_num_threads())
        metadata = self._model.metadata
        _check(path, metadata.batch, metadata.input_size, setting)
        self.kind = f"{self._model.library}, {metadata.precision}"
        self.name = f"{Path(path).name} ({self.kind})"
        self.derain = metadata.derain
        batch = setting.draw_batch()
        self._images = torch.stack(batch["inputs"]).numpy()
        self._sizes = np.array([sample.ori_shape for sample in batch["data_samples"]])

    @property
    def runs(self) -> list[Run]:
        """What to time, see ``summarise``."""
        return [self.run, self.run]

    def count(self) -> dict[str, float]:
        """Return nothing."""
        return {}

    def peak_megabytes(self) -> dict[str, float]:
        """Return nothing."""
        return {}

    def compile(self) -> None:
        """Do nothing: it is compiled."""

    def run(self) -> object:
        """Detect."""
        return self._model(self._images, self._sizes)


def _check(
    path: str | Path, batch: int | None, input_size: tuple[int, int], setting: Setting
) -> None:
    if batch not in (None, setting.batch_size) or input_size != (setting.size, setting.size):
        height, width = input_size
        raise ValueError(
            f"{path} was exported for batches of {batch or 'any size'} and {height} x {width} px, "
            f"but --batch is {setting.batch_size} and --size {setting.size}: export it anew, "
            "or change these"
        )
