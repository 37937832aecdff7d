"""The site builds without a warning, holds everything that is registered, and is self-contained."""

import importlib.util
import os
import re
import subprocess
import sys

import pytest
from documentation import ROOT
from mmdet import registry

REGISTRIES = [item for item in vars(registry).values() if isinstance(item, registry.Registry)]
OURS = {
    kind.__name__
    for registered in REGISTRIES
    for kind in registered.module_dict.values()
    if kind.__module__.startswith("derain_plugin.")
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    for package in ("sphinx", "furo", "myst_parser"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}: pip install -r requirements/docs.txt")
    out = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-d",
        out.parent / "tree",
    ]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [*command, ROOT / "docs", out],
        env={**os.environ, "PYTHONPATH": path},
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.slow
def test_the_api_has_everything_that_is_registered(site):
    documented = re.findall(r'id="derain_plugin\.([\w.]+)"', (site / "api.html").read_text())
    missing = OURS - {name.rsplit(".", 1)[-1] for name in documented}
    assert {"RTDETR", "PhasedTrainingHook"} <= OURS
    assert not missing


@pytest.mark.slow
def test_pages_load_nothing_from_other_machines(site):
    for page in site.glob("*.html"):
        loaded = re.findall(
            r"<(?:script|img|link|iframe)\b[^>]*(?:src|href)=\"([^\"]+)", page.read_text()
        )
        assert loaded
        assert not [url for url in loaded if "//" in url], page.name
    for style in site.glob("_static/**/*.css"):
        assert not re.findall(r"url\([\"']?https?:|@import", style.read_text()), style.name


@pytest.mark.slow
def test_the_first_page_has_the_verdict_of_the_readme_and_a_command_for_each_situation(site):
    text = (site / "index.html").read_text()
    assert text.index("The verdict") < text.index("What you have")
    assert 'href="coco.html"' in text
