"""Feature-level de-raining for MMDetection: importing this package registers its parts."""

from derain_plugin.version import __version__

try:
    import mmdet  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"derain_plugin needs MMDetection 3.x, which did not import ({error}). Install one stack:\n"
        "  pip install 'derain_plugin[onedl]'       (maintained forks, the default)\n"
        "  pip install 'derain_plugin[openmmlab]'   (the original distributions)\n"
        "mmcv compiles against torch, so install torch first and pass --no-build-isolation."
    ) from error

from derain_plugin import datasets, engine, evaluation, hf, models
from derain_plugin.config import load_config
from derain_plugin.hf import create_feature_derain_rtdetr

__all__ = [
    "__version__",
    "create_feature_derain_rtdetr",
    "datasets",
    "engine",
    "evaluation",
    "hf",
    "load_config",
    "models",
]
