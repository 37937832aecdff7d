"""The configs that the package ships, in the layout and under the names of OpenMMLab's tools.

Importing this module lets mmengine find them: ``_base_ = "derain_plugin::rtdetr/..."``. Our
console scripts and ``tools/`` import it before they read a config. Tools of others, such as
mmdet's, do not.
"""

from __future__ import annotations

from pathlib import Path

from mmengine.config.utils import MODULE2PACKAGE
from mmengine.fileio import load
from mmengine.hub import get_config

MIM = Path(__file__).parent / ".mim"
CONFIGS = MIM / "configs"
PREFIX = "derain_plugin::"

# A module in place of the distribution: mmengine 0.10.7 does not find the files of one that is
# installed editable, but those beside a module.
MODULE2PACKAGE["derain_plugin"] = __name__


def shipped_path(filename: str | Path) -> str:
    """Return the path of ``"derain_plugin::rtdetr/rtdetr_r18_coco.py"``; other names as they are.

    Those of mmdet's own configs, ``"mmdet::yolox/yolox_s_8xb8-300e_coco.py"``, are known, too.

    Raises:
        FileNotFoundError: No such config is shipped.
    """
    name = str(filename)
    if name.startswith("mmdet::"):
        return str(get_config(name).filename)
    if not name.startswith(PREFIX):
        return name
    path = CONFIGS / name.removeprefix(PREFIX)
    if not path.is_file():
        raise FileNotFoundError(
            f"{name} is not shipped: there is no {path}. {_names_of(path.parent)}"
        )
    return str(path)


def find_model(name: str) -> tuple[str, str | None]:
    """Return the config of a model of our metafiles, and the weights that are published for it.

    Args:
        name: Such as ``"rtdetr_r18_featderain_ms"``.

    Raises:
        ValueError: There is no such model.
    """
    models = {
        model["Name"]: model
        for path in load(MIM / "model-index.yml")["Import"]
        for model in load(MIM / path)["Models"]
    }
    if name not in models:
        raise ValueError(f"there is no model {name!r} here, only {', '.join(sorted(models))}")
    return str(MIM / models[name]["Config"]), models[name].get("Weights")


def _names_of(folder: Path) -> str:
    if not folder.is_dir():
        folders = sorted(path.name for path in CONFIGS.iterdir() if path.is_dir())
        return f"The folders are {', '.join(folders)}"
    return f"The configs are {', '.join(sorted(path.name for path in folder.glob('*.py')))}"
