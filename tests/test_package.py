"""What installing and importing the package promises."""

import subprocess
import sys
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest

import derain_command
import derain_plugin.mim
from derain_plugin import __version__
from derain_plugin.apis.exported_model import RUNTIMES
from derain_plugin.cli import compare_results, convert_labels, infer
from derain_plugin.datasets.labels import NAMES_FILES
from derain_plugin.evaluation import comparison

ROOT = Path(__file__).parents[1]


def python(code, **kwargs):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True, **kwargs
    )


SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


TOOLS = {path.stem: path for path in (ROOT / "tools").rglob("*.py")}


@pytest.mark.parametrize("name", SCRIPTS)
def test_commands_are_the_tools(name):
    command = name.removeprefix("derain-").replace("-", "_")
    assert SCRIPTS[name] == f"derain_command:{command}"
    assert getattr(derain_command, command).args == (command,)
    assert f'run("{command}")' in TOOLS[command].read_text()
    shipped = derain_plugin.mim.MIM / "tools" / TOOLS[command].relative_to(ROOT / "tools")
    assert shipped.resolve() == TOOLS[command]


def test_every_tool_is_a_command_or_a_projects():
    texts = {name: path.read_text() for name, path in TOOLS.items()}
    commands = {name.removeprefix("derain-").replace("-", "_") for name in SCRIPTS}
    for name, text in texts.items():
        projects = f'run("{name}", package="projects.'
        assert (f'run("{name}")' in text) == (name in commands)
        assert (projects in text) == (name not in commands)


HEAVY = ("torch", "mmengine", "mmcv", "mmdet", "transformers", "gradio", "cv2")


def loaded_by(command, *arguments):
    """What of HEAVY a command has loaded when it ends, and how it ended."""
    code = (
        "import sys, derain_command\n"
        f"sys.argv[1:] = {list(arguments)!r}\n"
        f"try: derain_command.{command}()\n"
        "except SystemExit as stop: print(stop.code or 0, end=' ')\n"
        f"print(*sorted({set(HEAVY)!r} & sys.modules.keys()))"
    )
    result = python(code)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()[-1].split()


@pytest.mark.parametrize("name", sorted(name.partition(":")[2] for name in SCRIPTS.values()))
@pytest.mark.parametrize(("option", "code"), [("--help", "0"), ("--no-such-option", "2")])
def test_help_and_wrong_options_load_nothing_heavy(name, option, code):
    assert loaded_by(name, option) == [code]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("app", ["--port", "0"]),
        ("compare_results", ["a.pkl", "a.pkl", "--annotations", "b.json"]),
        ("convert_labels", ["voc", "a", "b", "c.json", "--names", "car"]),
        ("export", ["a.py", "--format", "onnx", "--out", "a.xml"]),
        ("infer", ["a.py", "a.pth", "a.jpg", "--out-dir", "o", "--score-thr", "40"]),
        ("make_rainy_coco", ["a", "b", "--workers", "0"]),
        ("recalibrate_bn", ["a.py", "a.pth", "--out", "b.pth", "--epochs", "0"]),
        ("test", ["a.py", "a.pth", "--out", "a.txt"]),
    ],
)
def test_wrong_values_load_nothing_heavy(name, arguments):
    assert loaded_by(name, *arguments) == ["2"]


def test_what_commands_know_by_heart_is_so():
    assert {*infer.EXPORTED} == {*RUNTIMES}
    assert (*comparison.METRICS,) == compare_results.METRICS
    assert compare_results.EVERY_CONDITION == comparison.EVERY_CONDITION
    assert ", ".join(NAMES_FILES) in convert_labels.DESCRIPTION


def test_workers_that_begin_empty_load_no_torch():
    code = (
        "import multiprocessing, derain_command\n"
        "multiprocessing.set_start_method('spawn')\n"
        "derain_command.is_starting = True\n"
        "from derain_plugin.rain.worker_pool import worker_pool\n"
        "with worker_pool(1) as pool:\n"
        '    print(pool.submit(eval, \'"torch" in __import__("sys").modules\').result())\n'
    )
    assert python(code).stdout.strip() == "False"


def test_rain_is_rendered_without_torch(tmp_path):
    photo, copy = tmp_path / "in/1.png", tmp_path / "out"
    photo.parent.mkdir()
    cv2.imwrite(str(photo), np.full((40, 60, 3), 90, np.uint8))
    assert loaded_by("make_rainy_coco", str(photo.parent), str(copy), "--workers", "1") == ["cv2"]
    assert (copy / "1.png").is_file()
    sheet = tmp_path / "rain.png"
    assert loaded_by("browse_rain", str(photo), "--out", str(sheet))[-1] == "cv2"
    assert sheet.is_file()


def test_a_command_registers_once_its_work_begins():
    code = (
        "import sys, derain_command\n"
        "derain_command.is_starting = True\n"
        "import derain_plugin\n"
        "assert 'mmdet' not in sys.modules\n"
        "from derain_plugin.cli.work import working\n"
        "with working():\n"
        "    from mmdet.registry import HOOKS, MODELS\n"
        "    assert MODELS.get('DerainNeck') and HOOKS.get('PhasedTrainingHook')\n"
        "assert derain_plugin.load_config and derain_plugin.models.DerainNeck\n"
    )
    assert python(code).returncode == 0


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


def test_test_files_have_names_of_their_own():
    """Without packages around them pytest refuses a second one, and `make test-all` with it."""
    names = [
        path.name for room in ("tests", "projects") for path in (ROOT / room).rglob("test_*.py")
    ]
    assert sorted(names) == sorted(set(names))
