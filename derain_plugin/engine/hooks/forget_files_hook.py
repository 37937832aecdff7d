"""What was read of annotation files to start a run is freed before it runs."""

from __future__ import annotations

from typing import Any

from mmdet.registry import HOOKS
from mmengine.hooks import Hook

from derain_plugin.datasets.kept_files import forget_files


@HOOKS.register_module()
class ForgetFilesHook(Hook):
    """Call ``forget_files`` once the datasets and metrics are built."""

    def before_run(self, runner: Any) -> None:
        """Do so."""
        forget_files()
