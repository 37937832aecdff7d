"""Checkpoints read as data, files written whole; :func:`install` puts both into mmengine."""

from derain_plugin.engine.safety.checkpoint import load_from_local
from derain_plugin.engine.safety.install import Installation, install, scheme
from derain_plugin.engine.safety.stored_config import drop_executable_config, is_plain_data

__all__ = [
    "Installation",
    "drop_executable_config",
    "install",
    "is_plain_data",
    "load_from_local",
    "scheme",
]
