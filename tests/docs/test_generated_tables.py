"""Tables on the pages are those that commands wrote, on clean checkouts."""

import json
import re

import pytest
from documentation import ROOT

STUDY_RESULTS = ROOT / "projects/study/results"
BENCHMARK_RESULTS = ROOT / "projects/benchmark/results"
TABLES = {
    "demo.md": [STUDY_RESULTS / "demo/report.md"],
    "real_rain.md": [STUDY_RESULTS / "real/report.md", STUDY_RESULTS / "real/failures.md"],
    "benchmarks.md": [
        BENCHMARK_RESULTS / "benchmark/cpu_fp32_640px_batch1.md",
        BENCHMARK_RESULTS / "benchmark/training_cpu_fp32_640px_batch2.md",
        BENCHMARK_RESULTS / "overhead/cpu_fp32_640px_batch1.md",
        BENCHMARK_RESULTS / "loader/loader.md",
        BENCHMARK_RESULTS / "metric/metric.md",
        BENCHMARK_RESULTS / "rain/benchmark.md",
        BENCHMARK_RESULTS / "train_start/train_start.md",
        BENCHMARK_RESULTS / "families/families.md",
    ],
}


@pytest.mark.parametrize(
    ("page", "written"), [(page, path) for page in TABLES for path in TABLES[page]]
)
def test_the_page_has_what_the_command_wrote(page, written):
    assert written.read_text().strip() in (ROOT / "docs" / page).read_text()


def test_the_demo_measured_a_clean_checkout_and_a_detector_that_rain_hurts():
    report = json.loads((STUDY_RESULTS / "demo/report.json").read_text())
    assert re.fullmatch(r"[0-9a-f]{7,}", report["commit"])
    vanilla = report["rows"][0]
    assert vanilla["clean"] >= 0.3
    assert vanilla["clean"] - vanilla["rainy"][3] >= 0.08  # severity 4


@pytest.mark.parametrize("path", sorted(BENCHMARK_RESULTS.glob("benchmark/*.json")), ids=str)
def test_the_benchmark_measured_a_clean_checkout(path):
    assert re.fullmatch(r"[0-9a-f]{7,}", json.loads(path.read_text())["commit"])


def test_the_page_on_adapting_has_what_was_measured():
    page = (ROOT / "docs/adapt.md").read_text()
    record = json.loads((STUDY_RESULTS / "adapt/yolox_nano.json").read_text())
    assert f"commit {record['commit']}" in page
    for measured in record["training"]["with_labels"]:
        for name in ("AP", "car"):
            row = measured["rows"][name]
            change = row["after"] - row["before"]
            cells = [row["boxes"], f"{row['before']:.3f}", f"{row['after']:.3f}", f"{change:+.3f}"]
            assert f"| {name} | {' | '.join(map(str, cells))} |" in page
    rates = json.loads((BENCHMARK_RESULTS / "adapting/adapting.json").read_text())
    for name, ratio in rates["relative"].items():
        low, high = rates["relative_interval"][name]
        assert f"{ratio:.2f} times as many [{low:.2f}, {high:.2f}]" in " ".join(page.split())
    assert f"commit {rates['commit']}" in page
