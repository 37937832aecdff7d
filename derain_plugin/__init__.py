"""Feature-level de-raining for MMDetection: importing this package registers its parts.

Only our own commands put that off until their work begins, see ``derain_command``.
"""

import sys
import warnings
from importlib import import_module
from typing import Any

from derain_plugin.version import __version__

__all__ = [
    "__version__",
    "adapt",
    "create_feature_derain",
    "create_feature_derain_rtdetr",
    "datasets",
    "engine",
    "evaluation",
    "hf",
    "load_adapter",
    "load_config",
    "models",
    "register_all_modules",
]

_REGISTERING = (
    *("config", "datasets", "engine.hooks", "engine.optim_wrappers", "engine.settings_runner"),
    *("evaluation", "hf", "models"),
)
_HOMES = dict(
    adapt="derain_plugin.adapting",
    create_feature_derain="derain_plugin.hf",
    create_feature_derain_rtdetr="derain_plugin.hf",
    load_adapter="derain_plugin.adapting",
    load_config="derain_plugin.config",
)  # of the names that are no submodules


def register_all_modules() -> None:
    """Register our parts in mmdet's registries; once is enough, more does nothing.

    Raises:
        ImportError: MMDetection 3.x does not import; the message says how to install it.
    """
    try:
        _import_mmdet()
    except ImportError as error:
        raise ImportError(
            f"derain_plugin needs MMDetection 3.x, which did not import ({error}). Install one "
            "stack:\n"
            "  pip install 'derain_plugin[onedl]'       (maintained forks, the default)\n"
            "  pip install 'derain_plugin[openmmlab]'   (the original distributions)\n"
            "mmcv compiles against torch, so install torch first and pass --no-build-isolation."
        ) from error
    for name in _REGISTERING:
        import_module(f"derain_plugin.{name}")


def _import_mmdet() -> None:
    """Import MMDetection without its advice to install ``faster_coco_eval``, which nothing needs.

    Its datasets come first: what these import sets warning filters of its own, which stay.
    """
    import mmdet.datasets

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "faster_coco_eval is not installed")
        import mmdet.evaluation  # noqa: F401


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    return import_module(f"derain_plugin.{name}")


if not getattr(sys.modules.get("derain_command"), "is_starting", False):
    register_all_modules()
