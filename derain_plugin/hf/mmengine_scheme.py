"""Importing this module, and no other of this package, makes ``hf://`` known to all of mmengine.

``configs/_base_/default_runtime.py`` names it in ``custom_imports``, for programs that load a
checkpoint without a Runner, such as mmdet's ``init_detector`` and ``DetInferencer``. It adds one
name to the table of loaders and replaces none.
"""

from derain_plugin.engine.safety.install import keep
from derain_plugin.hf.hf_checkpoint import PREFIX, load_from_hf

keep(PREFIX, load_from_hf)
