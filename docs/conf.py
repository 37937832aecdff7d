"""Settings of the documentation, which ``make docs`` builds into docs/_build/."""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

from derain_plugin import __version__

project = "derain_plugin"
release = __version__
html_title = f"derain_plugin {__version__}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
nitpicky = True  # a :class: that leads nowhere is an error
nitpick_ignore_regex = [
    (
        "py:.*",
        r"(collections|contextlib|mmdet|mmengine|numbers|numpy|pathlib|pycocotools|torch|transformers)\..*",
    ),
    ("py:.*", "Config|EarlyStoppingHook|fnmatch|uint8"),
    # Not on the page: their users meet what stands on them.
    ("py:class", r"derain_plugin\.(datasets\.annotations|adapting\.\w+)\..*"),
    (
        "py:class",
        r".* .*|Metainfo|Nothing|RGB",
    ),  # prose after "Returns:" that napoleon takes for a type
]
myst_heading_anchors = 4

autodoc_mock_imports = ["nncf", "onnx", "onnxruntime", "onnxscript", "openvino"]
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_custom_sections = ["Shape"]

html_theme = "furo"
html_show_copyright = False
html_copy_source = False

DOCS = Path(__file__).parent
OUTSIDE = re.compile(r"(?<!!)\[([^\]]+)\]\((?:path:)?(\.\./[^)#]+)\)")


def link_to_the_repository(app: Sphinx, docname: str, source: list[str]) -> None:
    """Let links out of docs/ lead to copies of the files; of a folder its name is left.

    Markdown files out there are no pages of the site, which MyST takes them for.
    """

    def replace(found: re.Match) -> str:
        text, target = found.groups()
        if (DOCS / target).is_dir():
            return f"{text} (`{target.removeprefix('../')}`)"
        return f"[{text}](<path:{target}>)"

    source[0] = OUTSIDE.sub(replace, source[0])


def find_by_last_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.reference | None:
    """Docstrings call classes by their last name: find the one object that has it."""
    target = node["reftarget"]
    objects: dict[str, Any] = env.domains["py"].objects if node.get("refdomain") == "py" else {}
    # One object may have two names: where it is defined, and where it is imported.
    found = {item.node_id: item for name, item in objects.items() if name.endswith(f".{target}")}
    if len(found) != 1:
        return None
    (item,) = found.values()
    page, title = node["refdoc"], target
    return make_refnode(app.builder, page, item.docname, item.node_id, content, title)


def setup(app: Sphinx) -> None:
    """Connect the two."""
    app.connect("source-read", link_to_the_repository)
    app.connect("missing-reference", find_by_last_name)
