"""Measure detectors with their de-rain parts, in turns in one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import bootstrap

from derain_plugin.apis.exported_model import is_exported
from projects.benchmark.arm import Arm
from projects.benchmark.exported_arm import ExportedArm
from projects.benchmark.setting import Setting
from projects.benchmark.timing import times_in_turns
from projects.benchmark.transformers_arm import TransformersArm

RIVAL = "SPDNet"


def measure_inference(
    configs: Sequence[str | Path],
    setting: Setting,
    *,
    rounds: int,
    seconds: float,
    with_transformers: bool = False,
    tell: Callable[[str], object] = print,
) -> list[dict[str, Any]]:
    """Measure time, memory and size of each config's detector and of its de-rain part.

    Args:
        configs: Detection configs, and exported files.
        setting: Circumstances.
        rounds: How often each is timed.
        seconds: Limit of timing for each config, which is timed three times at least.
        with_transformers: Whether transformers' model of the first config comes first.
        tell: Gets a line of progress at a time.

    Returns:
        A row per config, as :func:`summarise` makes them, with sizes and memory, and with
        ``speed_up``: how much faster the de-rain part is than SPDNet in the same run. An exported
        file has its part's share in the model if one without it, of the same library and
        precision, is timed in the same rounds. With transformers' model ``against_transformers``,
        how much faster the whole is than that, and a 95 % ``against_transformers_interval``
        (medians of paired ratios, bootstrap) where all rounds are paired.

    Raises:
        ValueError: A config or file that cannot be measured under ``setting``, or no config that
            transformers' model could be of.
    """
    arms: list[Any] = []
    rows: list[dict[str, Any]] = []
    for kind, config in _kinds(configs, with_transformers):
        tell(f"{config}: build, count")
        arms.append(kind(config, setting))
        rows.append(dict(config=arms[-1].name, derain=arms[-1].derain, **arms[-1].count()))
    for arm, row in zip(arms, rows, strict=True):
        tell(f"{arm.name}: " + ("compile, " * (setting.backend == "compile")) + "memory")
        if setting.backend == "compile":
            arm.compile()
        row |= arm.peak_megabytes()
    tell(f"time, up to {rounds} rounds")
    times = times_in_turns(
        [arm.runs for arm in arms],
        rounds=rounds,
        seconds=seconds,
        warm_up=1,  # counting and measuring memory came before
        synchronize=setting.synchronize,
    )
    for row, found in zip(rows, times, strict=True):
        row |= summarise(found, batch_size=setting.batch_size)
    _add_speed_up(rows)
    wholes = [_whole(found) / setting.batch_size for found in times]
    _add_exported_shares(rows, arms, wholes)
    if with_transformers:
        _add_ratios(rows, wholes)
    return rows


def _kinds(
    configs: Sequence[str | Path], with_transformers: bool
) -> list[tuple[Callable[..., Any], str | Path]]:
    kinds: list[Any] = [(ExportedArm if is_exported(c) else Arm, c) for c in configs]
    if not with_transformers:
        return kinds
    first = next((config for kind, config in kinds if kind is Arm), None)
    if first is None:
        raise ValueError("transformers' model needs a config, for its architecture: name one more")
    return [(TransformersArm, first), *kinds]


def summarise(times: Sequence[Sequence[float]], *, batch_size: int) -> dict[str, Any]:
    """Reduce times to medians.

    Args:
        times: Milliseconds of batches, as ``Arm.runs`` has them: after a first call, which does
            not count, the whole; or, where there is a de-rain part, the whole without it, with
            it, without it, and the part alone.
        batch_size: Images in a batch.

    Returns:
        Per image: ``total_ms``, ``p95_ms``, ``fps``; with a de-rain part also ``derain_ms``, the
        median of the paired differences of with and without, its 95 % ``derain_ms_interval``
        (bootstrap), ``derain_alone_ms``, and ``overhead`` and ``overhead_alone``, both as shares
        of the time without.
    """
    _, *counted = (np.asarray(found) / batch_size for found in times)
    whole = _whole(times) / batch_size
    row: dict[str, Any] = dict(
        rounds=len(whole),
        total_ms=float(np.median(whole)),
        p95_ms=float(np.percentile(whole, 95)),
        fps=1000 / float(np.median(whole)),
    )
    if len(counted) > 1:
        before, _, after, alone = counted
        extra = whole - (before + after) / 2
        detector = float(np.median([before, after]))
        row |= _share(extra, detector) | dict(
            derain_alone_ms=float(np.median(alone)),
            overhead_alone=float(np.median(alone)) / detector,
        )
    return row


def _share(extra: np.ndarray, detector: float) -> dict[str, Any]:
    """Return what differences of times are in the median, and relative to the detector's time."""
    return dict(
        derain_ms=float(np.median(extra)),
        derain_ms_interval=median_interval(extra),
        overhead=float(np.median(extra)) / detector,
    )


def _whole(times: Sequence[Sequence[float]]) -> np.ndarray:
    """The times of the whole detector, with its de-rain part if it has one."""
    return np.asarray(times[2] if len(times) > 2 else times[1])


def median_interval(values: np.ndarray) -> list[float]:
    """Return a 95 % percentile-bootstrap interval of the median."""
    if np.ptp(values) == 0:
        return [float(values[0])] * 2
    # Seeded: the same times give the same interval.
    found = bootstrap((values,), np.median, method="percentile", rng=np.random.default_rng(0))
    return [float(bound) for bound in found.confidence_interval]


def _add_speed_up(rows: list[dict[str, Any]]) -> None:
    rival = next((row for row in rows if row["derain"] == RIVAL), None)
    for row in rows:
        if rival and row["derain"]:
            row["speed_up"] = rival["derain_alone_ms"] / row["derain_alone_ms"]
            row["memory_share"] = row["derain_memory_mb"] / rival["derain_memory_mb"]


def _add_exported_shares(
    rows: list[dict[str, Any]], arms: Sequence[Any], times: Sequence[np.ndarray]
) -> None:
    """Compare files with a de-rain part with the one without, of the same library and precision."""
    found = zip(rows, arms, times, strict=True)
    exported = [each for each in found if isinstance(each[1], ExportedArm)]
    plain = {arm.kind: mine for row, arm, mine in exported if not row["derain"]}
    for row, arm, mine in exported:
        base = plain.get(arm.kind)
        if row["derain"] and base is not None and len(base) == len(mine):
            row |= _share(mine - base, float(np.median(base)))


def _add_ratios(rows: list[dict[str, Any]], times: Sequence[np.ndarray]) -> None:
    """Compare with the first row, by the times of each row's whole detector."""
    for row, mine in zip(rows, times, strict=True):
        row["against_transformers"] = float(np.median(times[0]) / np.median(mine))
        if len(mine) == len(times[0]):
            ratios = times[0] / mine
            row["against_transformers"] = float(np.median(ratios))
            row["against_transformers_interval"] = median_interval(ratios)
