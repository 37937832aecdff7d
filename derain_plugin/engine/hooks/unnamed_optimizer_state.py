"""Names for the optimizer state of checkpoints that earlier versions wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config
from torch import Tensor, nn

from derain_plugin.engine.hooks.named_optimizer_state import NAMES
from derain_plugin.engine.hooks.phase import Phase, parse_phases
from derain_plugin.engine.safety.stored_config import is_plain_data


def add_names_of_old(
    state: dict, checkpoint: dict, model: nn.Module, names: Sequence[Sequence[str]], *, phases: bool
) -> None:
    """Name the parameters of a state without names, in place.

    Their order is that of the model; with phases and a group for each, those that train in the
    first phase came first. The phases are those of the config in the checkpoint.

    Args:
        state: The state of an optimizer.
        checkpoint: What it was saved in.
        model: The model that resumes.
        names: The parameters of its optimizer, by group.
        phases: Whether the run has phases.

    Raises:
        ValueError: The order cannot be told.
    """
    groups = state["param_groups"]
    if all(NAMES in group for group in groups):
        return
    present = {name for group in names for name in group}
    order = [name for name, _ in model.named_parameters()]
    count = sum(len(group["params"]) for group in groups)
    if count != len(order):  # mmengine leaves out what is frozen where there are several groups
        order = [name for name in order if name in present]
    if count != len(order):
        raise ValueError(
            f"its optimizer has {count} parameters without names, this training's {len(order)}"
        )
    if len(groups) > 1:
        first = _first_phase(checkpoint.get("meta", {}), is_needed=phases)
        trainable = {name for name, item in model.named_parameters() if item.requires_grad}
        if first:
            order.sort(key=lambda name: name not in trainable or first.pattern_of(name) is None)
    remaining = iter(order)
    for group in groups:
        group[NAMES] = [next(remaining) for _ in group["params"]]
    _require_fitting_shapes(state, dict(model.named_parameters()))


def _first_phase(meta: Mapping[str, Any], *, is_needed: bool) -> Phase | None:
    """The first phase of the config in a checkpoint."""
    text = meta.get("cfg")
    if not isinstance(text, str) or not text.strip() or not is_plain_data(text):
        if is_needed:
            raise ValueError(
                "its optimizer state does not name the parameters (an earlier version wrote it), "
                "and it holds no config from which their order would follow"
            )
        return None
    config = Config.fromstring(text, ".py")
    hooks = [*(config.get("custom_hooks") or []), *(config.get("default_hooks") or {}).values()]
    own = [hook["phases"] for hook in hooks if hook and hook.get("phases")]
    has_hook = any("PhasedTrainingHook" in str(hook.get("type")) for hook in hooks if hook)
    found = own or ([config.phases] if has_hook and config.get("phases") else [])
    return parse_phases(found[0])[0] if found else None


def _require_fitting_shapes(state: dict, parameters: Mapping[str, nn.Parameter]) -> None:
    for group in state["param_groups"]:
        for number, name in zip(group["params"], group[NAMES], strict=True):
            for value in state["state"].get(number, {}).values():
                shape = parameters[name].shape
                if isinstance(value, Tensor) and value.dim() == len(shape) and value.shape != shape:
                    raise ValueError(
                        f"its optimizer state does not name the parameters (an earlier version "
                        f"wrote it), and that of shape {tuple(value.shape)} does not fit {name}"
                    )
