"""What a data preprocessor of mmdet does to the values of pixels."""

from __future__ import annotations

from torch import nn


def pixel_statistics(preprocessor: nn.Module) -> dict[str, list[float]]:
    """Return ``mean`` and ``std`` of pixels 0-255: 0 and 1 where they stay as they are."""
    if not getattr(preprocessor, "_enable_normalize", False):
        return dict(mean=[0.0], std=[1.0])
    return {name: getattr(preprocessor, name).flatten().tolist() for name in ("mean", "std")}
