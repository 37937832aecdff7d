from pathlib import Path

import mmdet
import pytest
from mmengine.config import Config

from derain_plugin.engine.safety.stored_config import drop_executable_config, is_plain_data

MMDET_CONFIGS = Path(mmdet.__file__).parent / ".mim" / "configs"


@pytest.mark.parametrize(
    "name",
    [
        "rtmdet/rtmdet_tiny_8xb32-300e_coco.py",
        "yolox/yolox_tiny_8xb8-300e_coco.py",
    ],
)
def test_what_mmengine_stores_is_plain_data(name):
    assert is_plain_data(Config.fromfile(MMDET_CONFIGS / name).pretty_text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a = -1\nb = c = None",
        "model = dict({'a b': 1, '.bias': dict(lr=-1e-4)}, x=(1, [2.5, {3}], 'text', True))",
        "custom_imports = dict(imports=['derain_plugin'], allow_failed_imports=False)",
    ],
)
def test_plain(text):
    assert is_plain_data(text)


@pytest.mark.parametrize(
    "text",
    [
        "import os",
        "from os import path",
        "print('hello')",
        "a = open('x', 'w')",
        "a = dict(b=[c for c in (1, 2)])",
        "a = dict(**open('x'))",
        "a = {**open('x')}",
        "a = b.c",
        "a = eval",
        "a = [*open('x')]",
        "a = f'{open}'",
        "a = -open('x')",
        "a: open('x') = 1",
        "a.b = 1",
        "a, b = 1, 2",
        "a += 1",
        "def f(): ...",
        "with read_base(): ...",
        "a = dict.fromkeys('x')",
        "a = lambda: 1",
        "_base_ = './other.py'",
        "x = _base_ = ['./other.py']",
        "a = '{{ fileDirname }}'",
        "a = '{{$UNSET:'; import os #}}'",
        "custom_imports = dict(imports=['antigravity'])",
        "custom_imports = {'imports': 'idlelib.idle'}",
        "a = (",
        "a = '\0'",
        "a = " + "[" * 500 + "]" * 500,
    ],
)
def test_executable(text):
    assert not is_plain_data(text)


def test_environment_placeholder_would_have_run(tmp_path):
    """Why ``{{`` is refused: mmengine pastes the default into the source."""
    marker = tmp_path / "executed"
    text = "a = '{{$DERAIN_UNSET:'; __import__('os').mkdir(r'" + str(marker) + "') #}}'"
    assert not is_plain_data(text)
    Config.fromstring(text, file_format=".py")
    assert marker.exists()


def test_only_executable_texts_are_dropped(capsys):
    checkpoint = {
        "meta": {"epoch": 3, "cfg": "a = 1", "config": "import os"},
        "message_hub": {"runtime_info": {"cfg": "import os", "iter": 7}},
    }
    drop_executable_config(checkpoint, "some.pth")
    assert checkpoint == {
        "meta": {"epoch": 3, "cfg": "a = 1"},
        "message_hub": {"runtime_info": {"iter": 7}},
    }


@pytest.mark.parametrize("checkpoint", [{}, {"meta": None}, {"meta": {"cfg": {"a": 1}}}])
def test_checkpoints_without_config_text_stay(checkpoint):
    before = dict(checkpoint)
    drop_executable_config(checkpoint, "some.pth")
    assert checkpoint == before
