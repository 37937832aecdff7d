"""Say how a checkpoint does not fit a module."""

from collections.abc import Iterable, Mapping, Sequence

SHOWN_KEYS = 5


def lacking(missing_keys: Iterable[str], prefix: str = "") -> list[str]:
    """Pick the missing keys below ``prefix`` that matter: counters of BatchNorm do not."""
    return [
        key
        for key in missing_keys
        if key.startswith(prefix) and not key.endswith("num_batches_tracked")
    ]


def describe_misfit(found: Mapping[str, Sequence[str]]) -> str:
    """Put ``{"misses": keys, ...}`` into words: ``it misses 2: a, b``; empty if nothing is."""
    return "; ".join(
        f"it {verb} {len(keys)}: {', '.join(keys[:SHOWN_KEYS])}"
        + (", ..." if len(keys) > SHOWN_KEYS else "")
        for verb, keys in found.items()
        if keys
    )
