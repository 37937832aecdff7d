"""A phase of a training run: its epochs, and the rate at which each part trains."""

import difflib
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

Phases = Mapping[str, Mapping[str, Any] | None] | Sequence[Mapping[str, Any]]
"""What a config says of all phases: by name, or as a list."""


@dataclass(frozen=True)
class Phase:
    """Epochs in which some parameters train and all others are frozen.

    A pattern names a parameter, or a module and with it all parameters below:
    ``neck.derain`` covers ``neck.derain.blocks.0.weight`` but not
    ``neck.derainer.weight``. Each dotted part may hold the wildcards of
    :mod:`fnmatch` (``head.*.bias``), which never reach over a dot; ``*`` alone
    therefore covers every parameter. Where several patterns cover a
    parameter, the longest one counts, as in mmengine's ``custom_keys``.

    Args:
        name: For logs and errors.
        epochs: First and last epoch, counted from 1, both included; a last epoch of None is the
            end of the training.
        lr: Learning rate by pattern; what no pattern covers is frozen. A dict in place of a rate
            holds the rest of each pattern: ``{"neck": {"derain": 1e-4}}``, as command lines
            give it, is ``{"neck.derain": 1e-4}``.

    Raises:
        ValueError: If the epochs or a rate make no sense.

    Example:
        >>> phase = Phase("joint", epochs=(6, 15), lr={"neck.derain": 1e-4, "*": 1e-5})
        >>> phase.pattern_of("neck.derain.gate"), phase.pattern_of("backbone.conv1.weight")
        ('neck.derain', '*')
    """

    name: str
    epochs: Sequence[int | None]
    lr: Mapping[str, float]

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        kinds = [*map(type, self.epochs)] if isinstance(self.epochs, Sequence) else []
        if kinds not in ([int, int], [int, type(None)]):
            raise ValueError(f"{self} needs epochs=(first, last), got {self.epochs!r}")
        if not 1 <= self.first_epoch <= (self.last_epoch or self.first_epoch):
            raise ValueError(f"{self} needs 1 <= first <= last epoch, got {self.epochs}")
        if not isinstance(self.lr, Mapping) or not self.lr:
            raise ValueError(f"{self} needs lr={{pattern: rate}}, got {self.lr!r}")
        object.__setattr__(self, "lr", dict(_flattened(self.lr)))
        for pattern, rate in self.lr.items():
            if not (isinstance(rate, int | float) and math.isfinite(rate) and rate > 0):
                raise ValueError(
                    f"{self} needs a rate above 0 for {pattern!r}, got {rate!r}; "
                    "leave the pattern out to freeze what it covers"
                )

    def __str__(self) -> str:
        """How errors call it."""
        return f"phase {self.name!r}"

    @property
    def first_epoch(self) -> int:
        """The epoch it starts with, counted from 1."""
        return self.epochs[0] or 0

    @property
    def last_epoch(self) -> int | None:
        """The epoch it ends with, None where that is the end of the training."""
        return self.epochs[1]

    @property
    def span(self) -> str:
        """Its epochs in words: ``1-5``, or ``6-end``."""
        return f"{self.first_epoch}-{self.last_epoch or 'end'}"

    def pattern_of(self, parameter: str) -> str | None:
        """Say which pattern rules a parameter.

        Args:
            parameter: Its dotted name in the (unwrapped) model.

        Returns:
            The longest pattern that covers it, or None: it is frozen.

        Raises:
            ValueError: If the two longest are equally long.
        """
        found = sorted((pattern for pattern in self.lr if covers(pattern, parameter)), key=len)
        if len(found) > 1 and len(found[-1]) == len(found[-2]):
            raise ValueError(
                f"{self}: {found[-2]!r} and {found[-1]!r} both cover {parameter!r} and are "
                "equally long, so neither rules; make one of them more specific"
            )
        return found[-1] if found else None


def covers(pattern: str, parameter: str) -> bool:
    """Whether ``pattern`` names ``parameter`` or a module above it; see :class:`Phase`."""
    wanted, parts = pattern.split("."), parameter.split(".")
    return len(wanted) <= len(parts) and all(map(fnmatchcase, parts, wanted))


def parse_phases(configs: Phases) -> tuple[Phase, ...]:
    """Build the phases of a config, which must follow each other from epoch 1 on.

    Args:
        configs: Epochs and rates by name, in any order; None leaves a phase of a base config
            out. Or a list of dicts with the name among them.

    Raises:
        ValueError: If there is none, one is not a dict of (name,) epochs and lr, or epochs are
            claimed twice or left out.
    """
    phases = [Phase(**config) for config in _as_arguments(configs)]
    if isinstance(configs, Mapping):
        phases.sort(key=lambda phase: phase.first_epoch)
    if not phases:
        raise ValueError("phases is empty: give at least one phase")
    expected: int | None = 1
    for phase in phases:
        if phase.first_epoch != expected:
            overlaps = expected is None or phase.first_epoch < expected
            raise ValueError(
                f"The phases {'overlap' if overlaps else 'leave a gap'}: {phase} covers epochs "
                f"{phase.span}, but should "
                + (f"start with epoch {expected}" if expected else "not follow one without end")
            )
        expected = phase.last_epoch and phase.last_epoch + 1
    return tuple(phases)


def _as_arguments(configs: Any) -> list[dict[str, Any]]:
    if isinstance(configs, list | tuple):
        keys, items = set(Phase.__annotations__), list(configs)
    elif isinstance(configs, Mapping):
        keys = set(Phase.__annotations__) - {"name"}
        items = [config for config in configs.values() if config is not None]
    else:
        raise ValueError(f"phases is a dict of phases by name, got {configs!r}")
    for item in items:
        if not isinstance(item, Mapping) or set(item) != keys:
            raise ValueError(f"each phase is a dict with {_listed(keys)}, got {item!r}")
    if isinstance(configs, Mapping):
        names = [name for name, config in configs.items() if config is not None]
        return [dict(item, name=name) for name, item in zip(names, items, strict=True)]
    return [dict(item) for item in items]


def _listed(keys: set[str]) -> str:
    *first, last = (key for key in Phase.__annotations__ if key in keys)
    return f"{', '.join(first)} and {last}"


def _flattened(rates: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, rate in rates.items():
        if isinstance(rate, Mapping) and rate:
            yield from _flattened(rate, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", rate


def epochs_that_fit(phases: Sequence[Phase], max_epochs: int) -> dict[str, tuple[int, int | None]]:
    """Propose epochs for a training of another length, for those phases that need others.

    The last phase takes what is left; if it would get nothing, all become shorter alike.

    Args:
        phases: As :func:`parse_phases` returns them.
        max_epochs: Epochs of the training, at least as many as phases.

    Returns:
        First and last epoch by the name of the phase; the end is open in the last.
    """
    starts = [phase.first_epoch for phase in phases]
    if starts[-1] > max_epochs:
        total = phases[-1].last_epoch or starts[-1]
        late = [max_epochs - len(phases) + number for number in range(1, len(phases) + 1)]
        for number, start in enumerate(starts):
            scaled = 1 + (start - 1) * max_epochs // total
            earliest = starts[number - 1] + 1 if number else 1
            starts[number] = min(max(scaled, earliest), late[number])
    ends = [*(start - 1 for start in starts[1:]), None]
    fitting = zip(phases, starts, ends, strict=True)
    return {
        phase.name: (start, end)
        for phase, start, end in fitting
        if tuple(phase.epochs) != (start, end)
    }


def check_patterns(
    phases: Iterable[Phase], *, trainable: Collection[str], every: Sequence[str]
) -> None:
    """Require that every pattern of every phase trains something.

    Args:
        phases: What to check.
        trainable: Names of the parameters that are not frozen by the model itself.
        every: Names of all parameters.

    Raises:
        ValueError: Names the pattern, and what may have been meant.
    """
    for phase in phases:
        ruling = {phase.pattern_of(name) for name in trainable}
        for pattern in phase.lr:
            if pattern in ruling:
                continue
            if not any(covers(pattern, name) for name in every):
                close = difflib.get_close_matches(pattern, _nameable(every), n=3, cutoff=0.4)
                hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
                raise ValueError(f"{phase}: {pattern!r} matches no parameter of the model{hint}")
            raise ValueError(
                f"{phase}: {pattern!r} trains nothing, since all it covers is frozen by the "
                "model itself or ruled by a longer pattern; remove it"
            )


def _nameable(parameters: Iterable[str]) -> set[str]:
    """All modules and parameters that a pattern could name."""
    parts = [name.split(".") for name in parameters]
    return {".".join(names[:depth]) for names in parts for depth in range(1, len(names) + 1)}
