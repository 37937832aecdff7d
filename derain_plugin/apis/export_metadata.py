"""What an exported file says about itself."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from mmengine.config import Config

METADATA_KEY = "derain_plugin"


@dataclass(frozen=True)
class Metadata:
    """Where a file comes from and how to use it; stored as JSON under ``METADATA_KEY``.

    Attributes:
        classes: Names by label.
        palette: RGB colours by label, or a name that mmdet knows.
        input_size: Height and width of the network's input, px.
        batch: Images at once; None for any number.
        precision: ``fp32``, ``fp16``, ``bf16`` or ``int8``.
        derain: Class name of the de-rain neck, None without one.
        config: File name of the config.
        config_hash: SHA-256 of the config with its overrides, see :func:`config_hash`.
        checkpoint: As it was given; None for random weights.
        plugin_version: Of this package.
    """

    classes: tuple[str, ...]
    palette: Any
    input_size: tuple[int, int]
    batch: int | None
    precision: str
    derain: str | None
    config: str
    config_hash: str
    checkpoint: str | None
    plugin_version: str

    def to_json(self) -> str:
        """Return the text to store."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | None, *, source: object) -> Metadata:
        """Read what ``to_json`` wrote.

        Raises:
            ValueError: ``source``, the file, has no such text.
        """
        try:
            content = json.loads(text or "")
            tuples: dict[str, Any] = {
                name: tuple(content[name]) for name in ("classes", "input_size")
            }
            if isinstance(content["palette"], list):
                tuples["palette"] = [tuple(colour) for colour in content["palette"]]
            return cls(**{**content, **tuples})
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{source} has no metadata of derain_plugin, or of another version: write it with "
                "tools/export.py"
            ) from error


def config_hash(cfg: Config) -> str:
    """Return the SHA-256 of a config's values, whatever its layout and the order of its keys."""
    text = json.dumps(cfg.to_dict(), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
