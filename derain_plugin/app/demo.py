"""What ``make demo`` leaves on disk: a detector, the same adapted, and the images of its test."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config

WORK_DIR = Path("work_dirs/demo")
DATA = Path("data/toy_coco")
VANILLA, MERGED = "toy_rtdetr_coco", "adapted_merged"


def demo_detectors(folder: Path = WORK_DIR) -> list[tuple[str, str]]:
    """Return config and checkpoint of the vanilla detector, then of the adapted one.

    Training wrote the former, and ``derain-adapt merge`` the latter.

    Args:
        folder: The demo's work dir.

    Raises:
        FileNotFoundError: The demo has not been run, or not to its end.
    """
    vanilla, merged = _trained(folder / VANILLA), folder / MERGED
    adapted = [_existing(merged / name) for name in ("config.py", "checkpoint.pth")]
    return [vanilla, (str(adapted[0]), str(adapted[1]))]


def demo_images(data: Path = DATA) -> list[Path]:
    """Return the demo's test images in the order of their names; none before it has been run."""
    return sorted((data / "test2017").glob("*.jpg"))


def _trained(folder: Path) -> tuple[str, str]:
    config = _existing(folder / f"{folder.name}.py")
    epochs = Config.fromfile(config).train_cfg.max_epochs
    return str(config), str(_existing(folder / f"epoch_{epochs}.pth"))


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise FileNotFoundError(
            f"there is no {file}: run `make demo`, or give --vanilla and --derained"
        )
    return file
