"""Load and complete the configs of this package."""

from derain_plugin.config.loading import load_config

__all__ = ["load_config"]
