"""A project outside the repository, with the package installed as a wheel or editable."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest
from coco_folder import write_coco_folder
from tiny_rtdetr import TINY

ROOT = Path(__file__).parents[1]
SOURCES = (
    *("derain_plugin", "configs", "tools", "requirements"),
    *("derain_command.py", "pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"),
)
TINY_TEXT = ", ".join(f"{key}={value!r}" for key, value in TINY.items())
# The example's config, but for a detector that is trained in seconds.
TINY_STREETS = f"""
_base_ = "streets.py"
model = dict(
    backbone=dict({TINY_TEXT}),
    neck=dict(derain=dict(in_channels=[16, 24, 32]), neck=dict({TINY_TEXT})),
    bbox_head=dict({TINY_TEXT}),
)
train_cfg = dict(max_epochs=1)
phase = dict(name="derain", epochs=(1, 1), lr={{"neck.derain": 5e-4}})
custom_hooks = [dict(type="PhasedTrainingHook", phases=[phase])]
load_from = None
image_size = 64
"""
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
LAUNCHERS = ("dist_test.sh", "dist_train.sh", "slurm_train.sh")
NO_WORKERS = [f"{name}_dataloader.num_workers=0" for name in ("train", "val", "test")]


def run(*command, cwd):
    environment = {name: os.environ[name] for name in os.environ if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, text=True, capture_output=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy to build in, which leaves its traces there."""
    folder = tmp_path_factory.mktemp("source")
    skip = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=skip)
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "-q"]
    run(sys.executable, "-m", "pip", "wheel", *options, "-w", folder, source, cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


def make_environment(folder, *what):
    """A venv with everything that is installed here but our package; that is ``what``."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / "bin/python"
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder)
    # Our own .pth files there are not read: a path in a .pth is not a site folder.
    Path(site.strip(), "stack.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-index"]
    run(*pip, "--no-deps", "--no-build-isolation", *what, cwd=folder)
    return folder / "bin"


@pytest.fixture
def project(tmp_path):
    """The example's folder with images, and the small child of its config."""
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "examples/downstream", folder)
    (folder / "tiny.py").write_text(TINY_STREETS)
    write_coco_folder(folder / "data/streets", classes=("car", "person"))
    return folder


def test_the_wheel_has_what_mim_has_and_no_links(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    shipped = {name.removeprefix("derain_plugin/.mim/") for name in names if ".mim/" in name}
    assert shipped == {
        os.path.relpath(Path(folder, name), ROOT / "derain_plugin/.mim")
        for folder, _, files in os.walk(ROOT / "derain_plugin/.mim", followlinks=True)
        for name in files
        if "__pycache__" not in folder
    }
    assert len(names) == len(set(names))
    tops = {name.partition("/")[0].partition("-")[0] for name in names}
    assert tops == {"derain_command.py", "derain_plugin"}
    tools = {name.removeprefix("tools/") for name in shipped if name.startswith("tools/")}
    assert tools == {*map(tool_of, SCRIPTS.values()), *LAUNCHERS}


def tool_of(entry_point):
    *_, path = sorted((ROOT / "tools").rglob(f"{entry_point.partition(':')[2]}.py"))
    return str(path.relative_to(ROOT / "tools"))


def path_of_package(commands):
    code = "import importlib.util; print(importlib.util.find_spec('derain_plugin').origin)"
    return Path(run(commands / "python", "-c", code, cwd=commands).strip())


def train(commands, project):
    run(commands / "derain-train", "tiny.py", "--cfg-options", *NO_WORKERS, cwd=project)
    return project / "work_dirs/tiny/epoch_1.pth"


@pytest.mark.slow
def test_a_project_works_with_the_wheel(wheel, project, tmp_path):
    commands = make_environment(tmp_path / "venv", wheel)
    assert path_of_package(commands).is_relative_to(tmp_path / "venv")
    checkpoint = train(commands, project)
    arguments = ["tiny.py", checkpoint, "--out", "ms.pkl", "--cfg-options", *NO_WORKERS]
    run(commands / "derain-test", *arguments, cwd=project)
    assert (project / "ms.pkl").exists()
    (report,) = project.glob("work_dirs/tiny/*/robustness.json")
    assert next(iter(json.loads(report.read_text())["conditions"])) == "clean"
    images = "data/streets/val2017"
    arguments = ["tiny.py", checkpoint, "--format", "onnx", "--out", "tiny.onnx"]
    run(commands / "derain-export", *arguments, cwd=project)
    for model in (["tiny.py", checkpoint, "--device", "cpu"], ["tiny.onnx"]):
        out = project / f"seen_{len(model)}"
        run(commands / "derain-infer", *model, images, "--out-dir", out, cwd=project)
        assert names_in(out) == names_in(project / images)
    run(commands / "derain-make-rainy-coco", images, "rainy", "--workers", "1", cwd=project)
    assert names_in(project / "rainy") == names_in(project / images)


def names_in(folder):
    return sorted(path.name for path in folder.glob("*.jpg"))


@pytest.mark.slow
def test_a_project_trains_with_an_editable_install(source, project, tmp_path):
    commands = make_environment(tmp_path / "venv", "-e", source)
    assert path_of_package(commands).is_relative_to(source)
    assert train(commands, project).is_file()
