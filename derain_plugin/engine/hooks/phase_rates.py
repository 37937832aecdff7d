"""Learning rates of phases, kept where optimizer and schedulers read them."""

from collections.abc import Mapping, Sequence
from itertools import chain

from mmengine.optim import OptimWrapper, _ParamScheduler
from torch import nn

from derain_plugin.engine.hooks.phase import Phase


class PhaseRates:
    """Gives every parameter group of an optimizer its phase's learning rate.

    The groups are split so that each has one pattern per phase. A group keeps
    all its other settings, and the factor by which its rate differed from the
    optimizer's own ``lr`` (``lr_mult`` of ``paramwise_cfg`` times the factor of
    ``auto_scale_lr``): a phase's rate is multiplied by it. Frozen groups have
    rate 0. Groups that train in the first phase come first, since mmengine
    logs the rate of the first group as ``lr``.

    Args:
        optim_wrapper: Wrapper of the optimizer to split.
        schedulers: All parameter schedulers of the run; those of ``lr`` go on
            from a phase's rate.
        phases: The phases of the run.
        names: Name of each parameter that some phase may train.

    Raises:
        ValueError: If the optimizer's own ``lr`` is not above 0.
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
        self._patterns = self._split(names)
        self._factors = self._read_factors()
        # It tracks a base rate that all groups share; with phases there is none.
        optim_wrapper.base_param_settings = None
        for scheduler in schedulers:
            key = f"initial_{scheduler.param_name}"
            scheduler.base_values = [group[key] for group in self._optimizer.param_groups]

    def _split(self, names: Mapping[nn.Parameter, str]) -> list[tuple[str | None, ...]]:
        """Split and order the groups; return each one's pattern in every phase."""
        pieces = []
        for group in self._optimizer.param_groups:
            alike: dict[tuple[str | None, ...], list[nn.Parameter]] = {}
            for parameter in group["params"]:
                name = names.get(parameter)
                patterns = tuple(name and phase.pattern_of(name) for phase in self._phases)
                alike.setdefault(patterns, []).append(parameter)
            pieces += [(key, {**group, "params": params}) for key, params in alike.items()]
        pieces.sort(key=lambda piece: not piece[0][0])
        self._optimizer.param_groups[:] = [group for _, group in pieces]
        return [patterns for patterns, _ in pieces]

    def _read_factors(self) -> list[float]:
        own = self._optimizer.defaults["lr"]
        if not own > 0:
            raise ValueError(f"The optimizer needs an lr above 0 as the unit of lr_mult, got {own}")
        # A warm-up has changed 'lr' by now; 'initial_lr' is what it started from.
        groups = self._optimizer.param_groups
        return [group.get("initial_lr", group["lr"]) / own for group in groups]

    def apply(self, phase: Phase, *, restart: bool) -> None:
        """Set the rates of ``phase``.

        Every scheduler that is under way is applied to the phase's rate from
        its own beginning, so a warm-up that has begun goes on and a decay that
        has come stays. A scheduler that ended before the phase leaves no trace.

        Args:
            phase: One of the phases given at construction.
            restart: Whether the phase starts now. Otherwise the groups are
                left as a checkpoint brought them, if that knew this phase.
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
            if scheduler.begin <= scheduler._global_step < scheduler.end:
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
    """Repeat on the present rates all the steps that ``scheduler`` has done."""
    for step in range(scheduler.last_step + 1):
        scheduler.last_step = step
        for group, value in zip(
            scheduler.optimizer.param_groups, scheduler._get_value(), strict=True
        ):
            group["lr"] = value
