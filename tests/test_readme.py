"""The README quotes what commands wrote, and names what is there."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_table_is_the_one_that_the_demo_wrote():
    assert (ROOT / "projects/study/results/demo/report.md").read_text().strip() in README


@pytest.mark.parametrize("name", ["cpu_fp32_640px_batch1", "training_cpu_fp32_640px_batch2"])
def test_the_tables_are_those_that_the_benchmark_wrote(name):
    assert (ROOT / f"projects/benchmark/results/benchmark/{name}.md").read_text().strip() in README


def test_the_demo_measured_a_clean_checkout_and_a_detector_that_rain_hurts():
    report = json.loads((ROOT / "projects/study/results/demo/report.json").read_text())
    assert re.fullmatch(r"[0-9a-f]{7,}", report["commit"])
    vanilla = report["rows"][0]
    assert vanilla["clean"] >= 0.5
    assert vanilla["clean"] - vanilla["rainy"][2] >= 0.08


def test_the_benchmark_measured_a_clean_checkout():
    for path in (ROOT / "projects/benchmark/results/benchmark").glob("*.json"):
        assert re.fullmatch(r"[0-9a-f]{7,}", json.loads(path.read_text())["commit"]), path


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_links_lead_somewhere(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"\b(?:tools|configs)/[\w/]+\.\w+", README)))
)
def test_named_files_exist(path):
    assert (ROOT / path).is_file()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`?make (\w+)", README))))
def test_make_targets_exist(target):
    assert f"\n{target}:" in (ROOT / "Makefile").read_text()
