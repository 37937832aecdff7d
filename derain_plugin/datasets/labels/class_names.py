"""Names of the classes that YOLO's labels only number."""

from collections.abc import Mapping
from pathlib import Path

import yaml  # type: ignore[import-untyped]

NAMES_FILES = ("data.yaml", "classes.txt", "obj.names")
_LEVELS_UP = 2  # from labels/train or obj_train_data to the root of the data set


def find_names_file(labels: Path) -> Path:
    """Return the one of ``NAMES_FILES`` in ``labels``, or in the nearer of two folders above.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If two of them in one folder give different names.
    """
    folder = labels.resolve()
    for candidate in (folder, *folder.parents[:_LEVELS_UP]):
        found = [candidate / name for name in NAMES_FILES if (candidate / name).is_file()]
        if any(read_class_names(other) != read_class_names(found[0]) for other in found[1:]):
            raise ValueError(f"{found} disagree on the class names: choose with --names")
        if found:
            return found[0]
    raise FileNotFoundError(
        f"no {' or '.join(NAMES_FILES)} in {labels} or the {_LEVELS_UP} folders above it: give "
        "the class names with --names, as a file or one by one"
    )


def read_class_names(path: Path) -> Mapping[int, str]:
    """Read the names in a data.yaml of Ultralytics, or in a text file with one on each line.

    Returns:
        Class name of each index; indices may be missing.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not text, or a yaml without ``names``.
    """
    if not path.is_file():
        raise FileNotFoundError(f"names file {path} does not exist")
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix not in (".yaml", ".yml"):
            return {i: line.strip() for i, line in enumerate(text.splitlines()) if line.strip()}
        names = (yaml.safe_load(text) or {})["names"]
        pairs = names.items() if isinstance(names, dict) else enumerate(names)
        return {int(index): str(name) for index, name in pairs}
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError, ValueError) as error:
        raise ValueError(
            f"{path} gives no class names: it must be a yaml with a list or a mapping from index "
            f"to name under `names`, or text with a name on each line ({error!r})"
        ) from error
