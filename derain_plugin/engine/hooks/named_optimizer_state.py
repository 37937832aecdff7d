"""The state of an optimizer in a checkpoint, matched by the names of its parameters."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from mmengine.optim import OptimWrapper
from torch import Tensor, nn

NAMES = "param_names"
"""Torch's own key for the names of a group's parameters."""

SPEED_ONLY = ("foreach", "fused", "capturable", "differentiable")
SHAPES_THE_STATE = ("amsgrad", "centered")


def names_by_group(wrapper: OptimWrapper, model: nn.Module) -> list[list[str]]:
    """Name the parameters of each group; those that are not in ``model`` by their position."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    groups = wrapper.optimizer.param_groups
    return [
        [names.get(parameter, f"group {number}[{place}]") for place, parameter in enumerate(params)]
        for number, params in enumerate(group["params"] for group in groups)
    ]


def match_by_name(
    state: dict,
    wrapper: OptimWrapper,
    names: Sequence[Sequence[str]],
    *,
    model: Collection[str],
    weights: Collection[str],
) -> list[str]:
    """Bring a saved state, in place, into the order and the groups of an optimizer.

    A group that has the same parameters as before keeps its settings; another one has those of
    the optimizer. What was frozen then has no state, what is frozen now needs none.

    Args:
        state: The state of an optimizer, with the name of each parameter.
        wrapper: The optimizer that will load it.
        names: The names of its parameters, by group.
        model: The names of all parameters of the model.
        weights: The names of all weights of the checkpoint.

    Returns:
        What was regrouped, in words; nothing if no group was.

    Raises:
        ValueError: The parameters or the kind of optimizer differ.
    """
    saved = state["param_groups"]
    origins = {name: group for group in saved for name in group[NAMES]}
    present = [name for group in names for name in group]
    _require_known([name for name in present if name not in origins], weights, "this training")
    _require_known([name for name in origins if name not in present], model, "the checkpoint")
    _require_same_kind(saved, wrapper)
    old_ids = {name: i for g in saved for name, i in zip(g[NAMES], g["params"], strict=True)}
    kept = {number: state["state"].get(old_ids.get(name)) for number, name in enumerate(present)}
    state["state"] = {number: item for number, item in kept.items() if item is not None}
    numbers = {name: number for number, name in enumerate(present)}
    regrouped = len(saved) != len(names)
    state["param_groups"] = []
    for group, now in zip(names, wrapper.optimizer.param_groups, strict=True):
        origin = origins.get(group[0], {}) if group else {}
        is_same = set(origin.get(NAMES, ())) == set(group)
        regrouped |= not is_same
        ids = [numbers[name] for name in group]
        settings = {**now, **(origin if is_same else {}), "params": ids, NAMES: list(group)}
        state["param_groups"].append(settings)
    _match_base_settings(state, wrapper)
    if not regrouped:
        return []
    fresh = sum(name not in origins for name in present)
    more = f", of which {fresh} parameters were frozen" if fresh else ""
    return [f"{len(names)} parameter groups{more} (checkpoint: {len(saved)})"]


def _require_known(names: Sequence[str], known: Collection[str], where: str) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        more = ", ..." if len(unknown) > 3 else ""
        raise ValueError(
            f"{len(unknown)} parameters are only in {where} ({', '.join(unknown[:3])}{more})"
        )


def _require_same_kind(saved: Sequence[Mapping[str, Any]], wrapper: OptimWrapper) -> None:
    kind, defaults = type(wrapper.optimizer).__name__, wrapper.defaults
    for group in saved:
        needed = [
            key for key, value in defaults.items() if value is not None and value is not False
        ]
        lacking = [key for key in needed if key not in group]
        lacking += [k for k in SHAPES_THE_STATE if k in group and group[k] != defaults.get(k)]
        if lacking:
            raise ValueError(
                f"its optimizer is of another kind than {kind}: {', '.join(lacking)} differ"
            )


def _match_base_settings(state: dict, wrapper: OptimWrapper) -> None:
    """Let mmengine's record of the base rate be there exactly if the optimizer has one."""
    base = wrapper.base_param_settings
    if base is None:
        state.pop("base_param_settings", None)
    else:
        state.setdefault("base_param_settings", dict(base))


def take_settings(state: dict, wrapper: OptimWrapper, *, skipping: Sequence[str] = ()) -> list[str]:
    """Let the settings of the config count, in place, where those of the checkpoint differ.

    Args:
        state: As :func:`match_by_name` leaves it.
        wrapper: The optimizer, as the config has it.
        skipping: Settings that are none of the config's.

    Returns:
        Each setting that differs, with both values.
    """
    found: dict[str, None] = {}
    base = [state["base_param_settings"]] if "base_param_settings" in state else []
    for saved, present in zip(state["param_groups"] + base, wrapper.param_groups, strict=True):
        for key, before, now in _differences(saved, present):
            if key in skipping:
                continue
            saved[key] = present[key]
            if f"initial_{key}" in present:
                saved[f"initial_{key}"] = present[f"initial_{key}"]
            if key not in SPEED_ONLY:
                found[f"{key}={now} (checkpoint: {before})"] = None
    return list(found)


def _differences(saved: Mapping, present: Mapping) -> Iterator[tuple[str, Any, Any]]:
    for key in present:
        if key in ("params", NAMES) or key.startswith("initial_"):
            continue
        before, now = _setting(saved, key), _setting(present, key)
        if before != now:
            yield key, before, now


def _setting(group: Mapping[str, Any], key: str) -> Any:
    """A setting as it was before schedulers changed it."""
    value = group.get(f"initial_{key}", group.get(key))
    if key == "betas" and "initial_momentum" in group:  # a momentum scheduler drives the first
        value = (group["initial_momentum"], *value[1:])
    if isinstance(value, Tensor):
        return value.item() if value.numel() == 1 else value.tolist()
    return tuple(value) if isinstance(value, list) else value
