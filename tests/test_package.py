"""What installing and importing the package promises."""

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from derain_plugin import __version__

ROOT = Path(__file__).parents[1]


def python(code, **kwargs):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True, **kwargs
    )


SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_commands_are_the_tools_and_return_no_exit_code(name):
    module, function = SCRIPTS[name].split(":")
    assert module.rpartition(".")[2] == name.removeprefix("derain-").replace("-", "_")
    assert (ROOT / f"tools/{module.rpartition('.')[2]}.py").is_file()
    assert getattr(importlib.import_module(module), function).__annotations__["return"] == "None"


def test_import_without_mmdet_says_what_installs_it():
    result = python("import sys; sys.modules['mmdet'] = None; import derain_plugin")
    assert result.returncode == 1
    for command in ("derain_plugin[onedl]", "derain_plugin[openmmlab]"):
        assert f"pip install '{command}'" in result.stderr


def test_metadata_is_built_without_torch(tmp_path):
    code = (
        "import sys; sys.modules['torch'] = sys.modules['mmdet'] = None\n"
        "from setuptools import build_meta\n"
        f"print(build_meta.prepare_metadata_for_build_wheel({str(tmp_path)!r}))"
    )
    result = python(code)
    assert result.returncode == 0, result.stderr
    (metadata,) = tmp_path.glob("*.dist-info/METADATA")
    text = metadata.read_text()
    assert f"Version: {__version__}" in text
    assert "onedl-mmdetection==3.5.1; extra == " in text
    assert "mmdet==3.3.0; extra == " in text


@pytest.mark.parametrize(
    ("script", "arguments", "expected"),
    [
        ("dist_train.sh", "CONFIG 4 --amp", "tools/train.py CONFIG --launcher pytorch --amp"),
        ("dist_test.sh", "CONFIG CKPT 4 --out x", "tools/test.py CONFIG CKPT --launcher pytorch"),
        (
            "slurm_train.sh",
            "PART JOB CONFIG DIR",
            "train.py CONFIG --work-dir=DIR --launcher=slurm",
        ),
    ],
)
def test_launch_scripts_pass_their_arguments_on(script, arguments, expected, tmp_path):
    for launcher in ("torchrun", "srun"):
        (tmp_path / launcher).write_text('#!/bin/sh\necho "$0" "$@"\n')
        (tmp_path / launcher).chmod(0o755)
    path = f"{tmp_path}:/usr/bin:/bin"
    command = ["bash", f"tools/{script}", *arguments.split()]
    result = subprocess.run(
        command, cwd=ROOT, env={"PATH": path}, text=True, capture_output=True, check=True
    )
    assert expected in result.stdout
    assert "4" in result.stdout or script.startswith("slurm")
    usage = subprocess.run(["bash", f"tools/{script}"], cwd=ROOT, text=True, capture_output=True)
    assert usage.returncode == 2
    assert "Usage:" in usage.stderr
