"""Start a command of derain_plugin before torch, mmengine and mmdet load.

``import derain_plugin`` registers everything, and what it registers takes seconds and hundreds of
megabytes to load. A command that shows its help or refuses its options needs none of that, nor
does one that only renders rain. :func:`run` therefore notes that a command starts;
``derain_plugin`` sees that and leaves registering to ``derain_plugin.cli.work``. This module lies
beside the package, as Python runs a package's ``__init__`` before any module in it.
"""

from functools import partial
from importlib import import_module

is_starting = False
"""Whether this process is a command of ours; read by ``derain_plugin/__init__.py``."""


def run(name: str, *, package: str = "derain_plugin.cli") -> None:
    """Run the module ``name`` of a package of commands on the arguments of this process.

    What its ``main`` returns would count as the exit code of a console script.
    """
    call(f"{package}.{name}", "main")


def call(module: str, function: str) -> None:
    """Call a function of a module that is imported without registering; drop its result.

    Also for the processes that a command starts: those that are no copies of it begin empty.
    """
    global is_starting
    is_starting = True
    getattr(import_module(module), function)()


adapt = partial(run, "adapt")
app = partial(run, "app")
browse_rain = partial(run, "browse_rain")
compare_results = partial(run, "compare_results")
convert_labels = partial(run, "convert_labels")
convert_spdnet = partial(run, "convert_spdnet")
export = partial(run, "export")
export_hf = partial(run, "export_hf")
infer = partial(run, "infer")
make_rainy_coco = partial(run, "make_rainy_coco")
plot_robustness = partial(run, "plot_robustness")
recalibrate_bn = partial(run, "recalibrate_bn")
test = partial(run, "test")
train = partial(run, "train")
