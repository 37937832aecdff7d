"""A checkpoint that does not fit is an error, also where mmengine would only warn.

That it lacks what was added to the detector is none.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

SHOWN_KEYS = 5


def keep_when_missing(module: nn.Module, child: str) -> RemovableHandle:
    """From now on, load checkpoints without ``child`` as if they had its present weights.

    For blocks of your own in a detector: its vanilla checkpoints still load, ``strict`` or not,
    also where :func:`~derain_plugin.models.necks.derain_neck.require_whole_checkpoint` refuses
    what lacks anything else. A checkpoint with some weights of ``child`` must have all of them.

    Args:
        module: The module that holds the blocks, such as the backbone.
        child: The name of the blocks in it.

    Returns:
        The handle whose ``remove`` ends it.

    Raises:
        AttributeError: ``module`` has no module of this name.

    Example:
        >>> backbone = nn.Sequential(nn.Conv2d(3, 8, 1))
        >>> vanilla = backbone.state_dict()
        >>> backbone.add_module("my_block", nn.Conv2d(8, 8, 1))
        >>> handle = keep_when_missing(backbone, "my_block")
        >>> backbone.load_state_dict(vanilla)
        <All keys matched successfully>
    """
    module.get_submodule(child)
    return module.register_load_state_dict_pre_hook(partial(_keep_child, child))


def _keep_child(
    child: str, module: nn.Module, state_dict: dict[str, Tensor], prefix: str, *_: Any
) -> None:
    added, own = module.get_submodule(child), f"{prefix}{child}."
    if not any(key.startswith(own) for key in state_dict):
        keep_weights(added, state_dict, own, kind=child)


def keep_weights(
    module: nn.Module, state_dict: dict[str, Tensor], prefix: str, *, kind: str
) -> None:
    """Complete a checkpoint with the present weights of ``module``, and log it.

    Args:
        module: Whose weights the checkpoint has not.
        state_dict: What the parent's ``_load_from_state_dict`` is given, from which children
            take their shares; it changes.
        prefix: Of the keys of ``module``.
        kind: What weights they are, for the log.
    """
    weights = module.state_dict(prefix=prefix)
    state_dict.update(weights)
    print_log(
        f"the checkpoint has no {kind} weights: the {len(weights)} of {type(module).__name__} "
        "keep their values, which are the identity in a fresh model",
        logger="current",
    )


def load_whole(module: nn.Module, weights: Mapping[str, Tensor], what: str, advice: str) -> None:
    """Load weights that fill a module exactly.

    Args:
        module: Anything.
        weights: By the names of its state dict.
        what: Begins the message, as in :func:`require_fit`.
        advice: Ends it.

    Raises:
        ValueError: A weight is left over, lacking or of another shape.
    """
    expected = module.state_dict()
    require_fit(
        what,
        advice,
        missing=[key for key in expected if key not in weights],
        unexpected=[key for key in weights if key not in expected],
        other_shape=keys_of_other_shape(expected, weights),
    )
    module.load_state_dict(weights)


def require_fit(
    what: str,
    advice: str,
    *,
    missing: Iterable[str] = (),
    unexpected: Iterable[str] = (),
    other_shape: Iterable[str] = (),
) -> None:
    """Refuse a checkpoint of which something is left over or lacking.

    Args:
        what: What does not fit what: the beginning of the message.
        advice: What to do about it: the end of the message.
        missing: Keys that the model has and the checkpoint has not. Those of BatchNorm's
            counters do not matter.
        unexpected: Keys that only the checkpoint has.
        other_shape: Keys, or sentences about them, of weights of another shape.

    Raises:
        ValueError: There is any; it names the first of each kind.
    """
    found = {
        "misses": [key for key in missing if not key.endswith("num_batches_tracked")],
        "has, unlike the model,": list(unexpected),
        "has in another shape": list(other_shape),
    }
    said = [f"it {verb} {len(keys)}: {_first(keys)}" for verb, keys in found.items() if keys]
    if said:
        raise ValueError(f"{what}: {'; '.join(said)}. {advice}")


def keys_of_other_shape(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> list[str]:
    """Return the keys of both whose shapes differ."""
    return [
        key
        for key, tensor in expected.items()
        if key in weights and weights[key].shape != tensor.shape
    ]


def _first(keys: list[str]) -> str:
    return ", ".join(keys[:SHOWN_KEYS]) + (", ..." if len(keys) > SHOWN_KEYS else "")
