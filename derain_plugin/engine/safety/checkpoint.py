"""Checkpoint loading that never runs code from the file.

mmengine 0.10.7 cannot resume on torch >= 2.6 (its own ``HistoryBuffer`` is refused), and
onedl-mmengine falls back to unpickling everything. :func:`install` puts these loaders in.
"""

import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from derain_plugin.engine.safety.stored_config import drop_executable_config


def _history_statistic(owner: object, name: str) -> Callable:
    """Stand in for ``getattr``, by which a pickled ``HistoryBuffer`` names its statistics."""
    if owner is HistoryBuffer and name in ("min", "max", "mean", "current"):
        return getattr(HistoryBuffer, name)
    raise UnpicklingError(f"GLOBAL builtins.getattr is refused for {owner!r} and {name!r}")


_rebuild_array = np.zeros(0).__reduce__()[0]
_rebuild_scalar = np.float64(0).__reduce__()[0]

# What a checkpoint of mmengine's Runner holds beyond torch's own list: the history of the logged
# numbers (arrays) and the best score (a scalar), under the module names of NumPy 1 and 2.
SAFE_GLOBALS: list[Any] = [
    HistoryBuffer,
    (_history_statistic, "builtins.getattr"),
    np.ndarray,
    np.dtype,
    *(type(np.dtype(code)) for code in np.typecodes["AllInteger"] + np.typecodes["Float"] + "?"),
    *((_rebuild_array, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
    *((_rebuild_scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
]


def load_from_local(filename: str, map_location: Any = None) -> dict:
    """Load a checkpoint file as data: tensors, numbers, texts and containers.

    Args:
        filename: Path of the file; ``~`` is expanded.
        map_location: As in :func:`torch.load`.

    Returns:
        The checkpoint, without stored configs that are more than plain data.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, is not a checkpoint, has NaN among its weights, or
            needs code to be unpickled.
    """
    path = Path(filename).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"Checkpoint {filename} is not a file. Check the path.")
    return read_checkpoint(path, filename, map_location)


def read_checkpoint(file: Path | BytesIO, source: str, map_location: Any = None) -> dict:
    """Do the same with a file that is there; errors and warnings call it ``source``."""
    try:
        with torch.serialization.safe_globals(SAFE_GLOBALS):
            checkpoint = torch.load(file, map_location=map_location, weights_only=True)
    except Exception as error:  # torch.load raises a dozen types for damaged files
        raise ValueError(_explain(error, source)) from error
    return _cleaned(checkpoint, source)


def _cleaned(checkpoint: Any, source: str) -> dict:
    if not isinstance(checkpoint, dict):
        raise ValueError(
            f"Checkpoint {source} holds a {type(checkpoint).__name__}, not a dict. "
            "Save the state_dict of the model, or a dict that has it as 'state_dict'."
        )
    drop_executable_config(checkpoint, source)
    _refuse_nan(checkpoint, source)
    return checkpoint


def _refuse_nan(checkpoint: dict, source: str) -> None:
    """Infinity has its uses in buffers; a detector with NaN finds nothing, and says nothing."""
    weights = checkpoint.get("state_dict", checkpoint)
    tensors = weights.items() if isinstance(weights, dict) else ()
    bad = [k for k, v in tensors if isinstance(v, torch.Tensor) and v.isnan().any()]
    if bad:
        raise ValueError(
            f"Checkpoint {source} has NaN in {len(bad)} of its weights, such as {bad[0]}: its "
            "training has diverged. Use an earlier one."
        )


def _explain(error: Exception, source: str) -> str:
    text = str(error)
    if refused := re.search(r"GLOBAL (\S+)", text):
        return (
            f"Checkpoint {source} was refused: unpickling it would call {refused[1]}, and a "
            "checkpoint may hold data only. Ask its author for a file with nothing but the "
            "state_dict. If you trust its source, write such a file yourself: torch.save("
            "{'state_dict': torch.load(path, weights_only=False)['state_dict']}, new_path)."
        )
    detail = re.search(r"WeightsUnpickler error:\s*(.+)", text)
    reason = (detail[1] if detail else text or "the file is empty").split(". ")[0]
    return (
        f"Checkpoint {source} cannot be read ({type(error).__name__}: {reason}). It is probably "
        "truncated or not a PyTorch checkpoint: copy, download or save it again."
    )
