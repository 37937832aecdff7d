"""The settings of our configs under mmdet's and mmengine's own tools.

These read a config with ``Config.fromfile``, which fills settings in only where the base sets
them. mmdet's ``tools/train.py`` and ``tools/test.py`` build the runner that ``runner_type`` names:
``SettingsRunner`` fills them in. What builds mmengine's ``Runner`` itself meets ``SettingsHook``.
"""

from __future__ import annotations

import copy
from typing import Any

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from derain_plugin.config.named_types import use_named_types
from derain_plugin.config.settings import fill_settings, unfilled_settings


@RUNNERS.register_module()
class SettingsRunner(Runner):
    """mmengine's ``Runner``, for configs with a block ``settings``: it fills them in first."""

    @classmethod
    def from_cfg(cls, cfg: Any) -> Runner:
        """Build a runner from a copy of ``cfg`` with its settings filled in.

        Raises:
            ValueError: A setting has a value that cannot be used, or reaches nothing.
        """
        cfg = copy.deepcopy(cfg)
        use_named_types(cfg)
        fill_settings(cfg)
        return super().from_cfg(cfg)


@HOOKS.register_module()
class SettingsHook(Hook):
    """Refuse to run with a setting that the config's datasets and model do not hold.

    So a run never uses the base's data while its config names others.
    """

    priority = "VERY_HIGH"

    def before_run(self, runner: Runner) -> None:
        """Compare the settings of the runner's config with what their targets hold.

        Raises:
            ValueError: A setting is not filled in.
        """
        for name, (held, value) in unfilled_settings(runner.cfg).items():
            raise ValueError(
                f"the config sets {name}={value!r}, but its datasets, evaluators and model still "
                f"hold {held!r}: mmengine fills in no settings. Read the config with "
                "derain_plugin.load_config instead of Config.fromfile, or build the runner with "
                "mmengine.registry.RUNNERS.build(cfg) instead of Runner.from_cfg(cfg)"
            )
