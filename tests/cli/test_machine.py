import subprocess

import torch

from derain_plugin.cli import machine
from derain_plugin.cli.machine import describe_machine


def test_says_where_and_with_what(monkeypatch, tmp_path):
    (tmp_path / "a.txt").write_text("1")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *arguments], check=True)
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    clean = describe_machine()
    assert "dirty" not in clean["commit"]
    assert torch.__version__ in clean["versions"]
    assert "threads" in clean["hardware"]
    (tmp_path / "a.txt").write_text("2")
    assert describe_machine()["commit"] == clean["commit"] + "-dirty"


def test_without_a_checkout_the_commit_is_unknown(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    assert describe_machine()["commit"] == "unknown"
