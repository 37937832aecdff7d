"""Commands in the README and the pages are those that the tools take; some run here."""

import importlib
import re
import shlex
import shutil
import tomllib

import pytest
from documentation import PAGES, ROOT, find_blocks

BLOCKS = find_blocks("bash")
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
TARGETS = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
FILE = re.compile(
    r"(?<![\w./])(?:configs|examples|projects|requirements|tests|tools)/[\w./-]+\.\w+"
)
NAMED_TEST = re.compile(r"\b(?:projects/\w+/)?tests/[\w/]+\.py")
# Programs that are not ours.
OTHERS = {".ci/run", ".venv/bin/pre-commit", "cd", "curl", "mkdir", "source", "trtexec", "unzip"}
INLINE = re.compile(r"`((?:python tools/|derain-|make |tools/\w+\.sh |pip install )[^`]+)`")


def commands(code):
    """The commands of a block as lists of words; of a loop, its first round."""
    code = code.replace("\\\n", " ")
    for loop in re.findall(r"for (\w+) in (\S+).*?; do", code):
        code = code.replace(f"${loop[0]}", loop[1])
    code = re.sub(r"^for .*; do$|^done$", "", code, flags=re.M)
    for line in code.splitlines():
        words = shlex.split(line, comments=True)
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            yield words[:end]
            words = words[end + 1 :]


def inline_commands():
    texts = (re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S) for page in PAGES)
    codes = {" ".join(code.split()) for text in texts for code in INLINE.findall(text)}
    return sorted(code for code in codes if "..." not in code)


def cli_of(words):
    """The module behind a command and its arguments; None for a command that is not ours."""
    if words[0] in SCRIPTS:
        return f"derain_plugin.cli.{SCRIPTS[words[0]].partition(':')[2]}", words[1:]
    if words[0] == "python" and words[1].startswith("tools/"):
        assert (ROOT / words[1]).is_file(), words[1]
        return module_of(ROOT / words[1]), words[2:]
    return None


def module_of(tool):
    """The module that a file of tools/ runs: one of the package, or of a project."""
    package = re.search(r'package="([\w.]+)"', tool.read_text())
    return f"{package[1] if package else 'derain_plugin.cli'}.{tool.stem}"


def check(words):
    for name in FILE.findall(" ".join(words)):
        assert (ROOT / name).is_file(), f"there is no {name}"
    if cli := cli_of(words):
        module, arguments = cli
        try:
            importlib.import_module(module).parse_args(arguments)
        except SystemExit as stop:  # of --help, or with the reason on stderr
            if stop.code:
                pytest.fail(f"refused: {shlex.join(words)}")
    elif words[:2] == ["python", "-m"]:
        assert (ROOT / f"{words[2].replace('.', '/')}.py").is_file(), words[2]
    elif words[0] == "make":
        assert words[1] in TARGETS
    elif words[0] == "pip":
        extras = (ROOT / "setup.py").read_text()
        for extra in re.findall(r"derain_plugin\[(\w+)\]", " ".join(words)):
            assert f'"{extra}": ' in extras, f"there is no extra {extra}"
    elif words[0].startswith("tools/"):
        assert (ROOT / words[0]).is_file(), words[0]
    else:
        assert words[0] in OTHERS, f"{words[0]} is not known here"


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_blocks_are_commands_that_exist(block, monkeypatch):
    monkeypatch.chdir(ROOT)
    parsed = list(commands(block.code))
    assert parsed
    for words in parsed:
        check(words)


@pytest.mark.parametrize("code", inline_commands())
def test_inline_commands_exist(code, monkeypatch):
    monkeypatch.chdir(ROOT)
    words = shlex.split(code)
    if words[1:]:
        check(words)
    else:
        assert words[0] in SCRIPTS


@pytest.mark.parametrize("block", [b for b in BLOCKS if not b.runs], ids=str)
def test_what_does_not_run_here_says_why(block):
    assert set(block.marks) <= {"needs", "tested"}
    assert all(block.marks.values())


def test_each_tool_is_a_command_that_is_known_here():
    for tool in ROOT.glob("tools/**/*.py"):
        assert callable(importlib.import_module(module_of(tool)).parse_args), tool


@pytest.mark.parametrize(
    "page", [page for page in PAGES if NAMED_TEST.search(page.read_text())], ids=lambda p: p.name
)
def test_named_tests_exist(page):
    for path in NAMED_TEST.findall(page.read_text()):
        assert (ROOT / path).is_file(), path


@pytest.mark.parametrize(
    "block", [b for b in [*BLOCKS, *find_blocks("python")] if "tested" in b.marks], ids=str
)
def test_the_test_that_a_mark_names_exists(block):
    path, _, name = block.marks["tested"].partition("::")
    assert (ROOT / path).is_file(), path
    assert not name or f"def {name}(" in (ROOT / path).read_text()


@pytest.fixture
def folder(coco_root, tmp_path, monkeypatch):
    """What the pages suppose in the folder in which one types."""
    shutil.copytree(coco_root, tmp_path / "data/coco")
    shutil.copy(next((coco_root / "val2017").glob("*.jpg")), tmp_path / "street.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.runs], ids=str)
def test_blocks_without_a_mark_run(block, folder):
    before = set(folder.rglob("*"))
    for words in commands(block.code):
        module, arguments = cli_of(words)
        importlib.import_module(module).main(arguments)
    assert set(folder.rglob("*")) > before
