"""A phase of a training run: its epochs, and the rate at which each part trains."""

import difflib
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any


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
        epochs: First and last epoch, counted from 1, both included.
        lr: Learning rate by pattern; what no pattern covers is frozen.

    Raises:
        ValueError: If the epochs or a rate make no sense.

    Example:
        >>> phase = Phase("joint", epochs=(6, 15), lr={"neck.derain": 1e-4, "*": 1e-5})
        >>> phase.pattern_of("neck.derain.gate"), phase.pattern_of("backbone.conv1.weight")
        ('neck.derain', '*')
    """

    name: str
    epochs: Sequence[int]
    lr: Mapping[str, float]

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not isinstance(self.epochs, Sequence) or [*map(type, self.epochs)] != [int, int]:
            raise ValueError(f"{self} needs epochs=(first, last), got {self.epochs!r}")
        if not 1 <= self.first_epoch <= self.last_epoch:
            raise ValueError(f"{self} needs 1 <= first <= last epoch, got {self.epochs}")
        if not isinstance(self.lr, Mapping) or not self.lr:
            raise ValueError(f"{self} needs lr={{pattern: rate}}, got {self.lr!r}")
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
        return self.epochs[0]

    @property
    def last_epoch(self) -> int:
        """The epoch it ends with."""
        return self.epochs[1]

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


def parse_phases(configs: Sequence[Mapping[str, Any]]) -> tuple[Phase, ...]:
    """Build the phases of a config, which must follow each other from epoch 1 on.

    Raises:
        ValueError: If there is none, one is not a dict of name, epochs and lr, or epochs are
            claimed twice or left out.
    """
    if not isinstance(configs, list | tuple):
        raise ValueError(f"phases is a list of dicts, got {configs!r}")
    for item in configs:
        if not isinstance(item, Mapping) or set(item) != set(Phase.__annotations__):
            raise ValueError(f"each phase is a dict with name, epochs and lr, got {item!r}")
    phases = tuple(Phase(**config) for config in configs)
    if not phases:
        raise ValueError("phases is empty: give at least one phase")
    expected = 1
    for phase in phases:
        if phase.first_epoch != expected:
            fault = "overlap" if phase.first_epoch < expected else "leave a gap"
            raise ValueError(
                f"The phases {fault}: {phase} covers epochs {phase.first_epoch}-"
                f"{phase.last_epoch}, but should start with epoch {expected}"
            )
        expected = phase.last_epoch + 1
    return phases


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
