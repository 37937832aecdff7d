"""The learning rates of phases, kept where optimizer and schedulers read them."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from mmengine.optim import OptimWrapper, _ParamScheduler
from torch import nn

from derain_plugin.engine.hooks.phase import Phase

NEEDED = (
    "but phases need one group per parameter: add --cfg-options "
    "optim_wrapper.constructor=PhasedOptimWrapperConstructor"
)


class PhaseRates:
    """Gives every parameter group of an optimizer its phase's learning rate.

    A group keeps all its other settings, and the factor by which its rate
    differed from the optimizer's own ``lr`` (``lr_mult`` of ``paramwise_cfg``
    times the factor of ``auto_scale_lr``): a phase's rate is multiplied by it.
    Frozen groups have rate 0. Groups that train in the first phase come first,
    since mmengine logs the rate of the first group as ``lr``.

    Args:
        optim_wrapper: As :class:`PhasedOptimWrapperConstructor` builds it.
        schedulers: All parameter schedulers of the run; those of ``lr`` go on
            from a phase's rate.
        phases: The phases of the run.
        names: Name of each parameter that some phase may train.

    Raises:
        ValueError: If the optimizer's own ``lr`` is not above 0, or parameters
            that need different rates share a group.
    """

    def __init__(
        self,
        optim_wrapper: OptimWrapper,
        schedulers: Sequence[_ParamScheduler],
        *,
        phases: Sequence[Phase],
        names: Mapping[nn.Parameter, str],
    ) -> None:
        self._optimizer = optim_wrapper.optimizer
        self._phases = phases
        self._phase = phases[0]
        self._schedulers = [item for item in schedulers if item.param_name == "lr"]
        if optim_wrapper.base_param_settings is not None:  # a further group, of no parameter
            raise ValueError(f"The optimizer has a base rate, {NEEDED}")
        self._patterns = self._sort(names)
        self._factors = self._read_factors()
        for scheduler in schedulers:
            key = f"initial_{scheduler.param_name}"
            scheduler.base_values = [group[key] for group in self._optimizer.param_groups]

    def _sort(self, names: Mapping[nn.Parameter, str]) -> list[tuple[str | None, ...]]:
        """Sort the groups; return each one's pattern in every phase."""
        groups = self._optimizer.param_groups
        groups.sort(key=lambda group: not self._patterns_of(group, names)[0])
        return [self._patterns_of(group, names) for group in groups]

    def _patterns_of(
        self, group: Mapping[str, Any], names: Mapping[nn.Parameter, str]
    ) -> tuple[str | None, ...]:
        trainable = (names.get(parameter) for parameter in group["params"])
        found = {
            tuple(phase.pattern_of(name) if name else None for phase in self._phases)
            for name in trainable
        }
        if len(found) != 1:
            raise ValueError(
                f"The optimizer has {len(group['params'])} parameters in one group, which need "
                f"rates of their own, {NEEDED}"
            )
        return found.pop()

    def _read_factors(self) -> list[float]:
        own = self._optimizer.defaults["lr"]
        if not own > 0:
            raise ValueError(f"The optimizer needs an lr above 0 as the unit of lr_mult, got {own}")
        # A warm-up has changed 'lr' by now; 'initial_lr' is what it started from.
        groups = self._optimizer.param_groups
        return [group.get("initial_lr", group["lr"]) / own for group in groups]

    def apply(self, phase: Phase, *, epochs: int, iterations: int, restart: bool) -> None:
        """Set the rates of ``phase``.

        Every scheduler that is under way is applied to the phase's rate from
        its own beginning, so a warm-up that has begun goes on and a decay that
        has come stays. A scheduler that ended before the phase leaves no trace.

        Args:
            phase: One of the phases given at construction.
            epochs: Epochs that the run has done when the phase starts.
            iterations: Iterations that it has done then.
            restart: Whether the phase or another schedule starts now. Otherwise the groups
                are left as a checkpoint brought them, if that knew this phase.
        """
        self._phase = phase
        groups = self._optimizer.param_groups
        rates = [
            phase.lr[pattern] * factor if pattern else 0.0
            for pattern, factor in zip(self._present_patterns(), self._factors, strict=True)
        ]
        for scheduler in self._schedulers:
            scheduler.base_values = list(rates)
        if not restart and rates == [group.get("initial_lr") for group in groups]:
            return
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = group["initial_lr"] = rate
        for scheduler in self._schedulers:
            lasts = (epochs if scheduler.by_epoch else iterations) < scheduler.end
            if lasts and scheduler.last_step >= 0:
                _replay(scheduler)

    def by_pattern(self) -> dict[str, float]:
        """The present rate of each pattern of the run, 0 for those of other phases.

        Of groups with different factors the highest rate counts.
        """
        rates = dict.fromkeys(chain.from_iterable(phase.lr for phase in self._phases), 0.0)
        groups = self._optimizer.param_groups
        for pattern, group in zip(self._present_patterns(), groups, strict=True):
            if pattern:
                rates[pattern] = max(rates[pattern], group["lr"])
        return rates

    def _present_patterns(self) -> list[str | None]:
        index = self._phases.index(self._phase)
        return [patterns[index] for patterns in self._patterns]


def _replay(scheduler: _ParamScheduler) -> None:
    """Repeat on the present rates all the steps that ``scheduler`` has done.

    mmengine has no public way to ask a scheduler for its values: ``step`` counts on, too, and a
    scheduler that is built anew has had its first step.
    """
    for step in range(scheduler.last_step + 1):
        scheduler.last_step = step
        groups = scheduler.optimizer.param_groups
        for group, value in zip(groups, scheduler._get_value(), strict=True):
            group["lr"] = value
