"""Where a schedule has come to after some epochs of training."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.optim import OptimWrapper, _ParamScheduler

PROGRESS = ("last_step", "verbose", "optimizer")
"""Arguments of schedulers that are no settings."""


def settings_of(scheduler: _ParamScheduler) -> dict[str, Any]:
    """The arguments that a scheduler was built with, as far as it keeps them."""
    kinds = inspect.getmro(type(scheduler))[:-1]
    names = {name for kind in kinds for name in inspect.signature(kind).parameters}
    held = vars(scheduler)
    return {name: held[name] for name in sorted(names - {*PROGRESS}) if name in held}


def schedule_changes(schedulers: Sequence[_ParamScheduler], saved: Sequence[dict]) -> list[str]:
    """Say in words how the schedulers of the config differ from those of a checkpoint."""
    if len(schedulers) != len(saved):
        return [f"{len(schedulers)} schedulers (checkpoint: {len(saved)})"]
    pairs = zip(schedulers, saved, strict=True)
    return [change for scheduler, state in pairs for change in _changes(scheduler, state)]


def _changes(scheduler: _ParamScheduler, state: dict) -> list[str]:
    kind = type(scheduler).__name__
    if any(name not in vars(scheduler) for name in state):
        return [f"{kind} (checkpoint: another kind of scheduler)"]
    return [
        f"{kind} {name}={_text(value)} (checkpoint: {_text(state.get(name))})"
        for name, value in settings_of(scheduler).items()
        if state.get(name) != value
    ]


def _text(value: Any) -> Any:
    return sorted(value.elements()) if hasattr(value, "elements") else value  # of milestones


class Progress:
    """The schedulers and rates of a run that had followed its config from the beginning.

    The schedulers step on copies, as ``ParamSchedulerHook`` lets them step in training; groups
    that are alike in everything count as one.

    Args:
        wrapper: The optimizer, just built.
        schedulers: Its schedulers, just built.
        steps: After how many iterations each epoch ends: ``[100] * 12``.
        by_epoch: Whether schedulers that count epochs step at those ends.

    Attributes:
        states: The state of each scheduler.
        groups: The settings of each group of the optimizer, mmengine's base settings included.

    Raises:
        ValueError: A scheduler follows metrics, which are gone.
    """

    def __init__(
        self,
        wrapper: OptimWrapper,
        schedulers: Sequence[_ParamScheduler],
        *,
        steps: Sequence[int],
        by_epoch: bool = True,
    ) -> None:
        keys = [_key(group) for group in wrapper.param_groups]
        self._kinds = list(dict.fromkeys(keys))
        self._places = [self._kinds.index(key) for key in keys]
        firsts = [keys.index(kind) for kind in self._kinds]
        self._optimizer = _Settings([wrapper.param_groups[i] for i in firsts], wrapper.defaults)
        self._schedulers = [self._copy(scheduler, firsts) for scheduler in schedulers]
        for iterations in steps:
            self._step(iterations, by_epoch)
        self.states = [
            vars(item) | dict(base_values=own.base_values, _last_value=self._all(item._last_value))
            for item, own in zip(self._schedulers, schedulers, strict=True)
        ]
        for state in self.states:
            del state["optimizer"]
        self.groups: list[dict] = self._all(self._optimizer.param_groups)

    def _copy(self, scheduler: _ParamScheduler, firsts: Sequence[int]) -> Any:
        if getattr(scheduler, "need_val_args", False):
            raise ValueError(f"{type(scheduler).__name__} follows past metrics, which are not kept")
        twin: Any = copy.copy(scheduler)
        twin.optimizer = self._optimizer
        twin.base_values = [scheduler.base_values[i] for i in firsts]
        return twin

    def _step(self, iterations: int, by_epoch: bool) -> None:
        by_iteration = [item for item in self._schedulers if not item.by_epoch]
        for _ in range(iterations if by_iteration else 0):
            for scheduler in by_iteration:
                scheduler.step()
        for scheduler in self._schedulers if by_epoch else ():
            if scheduler.by_epoch:
                scheduler.step()

    def _all(self, by_kind: Sequence[Any]) -> list[Any]:
        return [by_kind[place] for place in self._places]


class _Settings:
    """An optimizer without parameters, for schedulers to set the values of."""

    def __init__(self, groups: Sequence[dict], defaults: dict) -> None:
        self.param_groups = [dict(_settings(group)) for group in groups]
        self.defaults = defaults
        self._global_step = 0  # schedulers look whether the optimizer steps

    def step(self) -> None:
        """Do nothing."""

    step._with_counter = True  # type: ignore[attr-defined]


def _settings(group: dict) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in group.items() if key not in ("params", "param_names"))


def _key(group: dict) -> str:
    return repr(sorted(_settings(group)))
