"""A checkpoint that does not fit is an error, also where mmengine would only warn."""

from collections.abc import Iterable, Mapping

from torch import Tensor

SHOWN_KEYS = 5


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
