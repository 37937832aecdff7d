import json
import re

import cv2
import numpy as np
import pytest
from study_records import PlannedArm, falling, measured_part, write_record

from projects.study.report import write_report

ARMS = (
    PlannedArm("vanilla", "plain detector", decides=False),
    PlannedArm("control", "the control"),
    PlannedArm("neck", "the neck"),
    PlannedArm("slow", "slow restorer", decides=False),
    PlannedArm("idea", "an idea", decides=False),
    PlannedArm("other", "another idea"),
)
CLEAN = dict(control=(0.50, 0.52), neck=(0.53, 0.57))


@pytest.fixture
def results(tmp_path):
    """A neck that is ahead of the control, which has run with two seeds; others have not run."""
    results = tmp_path / "results" / "study"
    subset = measured_part(falling(0.4, 0.04), num_images=100)
    write_record(results, "vanilla", 0, measured_part(falling(0.5, 0.08)), subset=subset)
    for arm, levels in CLEAN.items():
        for seed, clean in enumerate(levels, start=1):
            part = measured_part(falling(clean, 0.05), shift=0.5 * (arm == "neck"))
            write_record(
                results,
                arm,
                seed,
                part,
                subset=subset,
                parameters=1_000_000 + 5000 * (arm != "control"),
            )
    write_record(results, "slow", 1, measured_part(falling(0.3, 0.04), num_images=100))
    return results


def reported(results, **options):
    text = write_report(results, results.parents[1] / "docs", arms=ARMS, **options)
    return text, json.loads((results / "report.json").read_text())


def cells(text: str, title: str) -> list[list[str]]:
    """The rows of all tables that start with a title."""
    lines = [line for line in text.splitlines() if line.startswith(f"| {title} |")]
    return [[cell.strip() for cell in line.strip("|").split("|")][1:] for line in lines]


def test_means_and_standard_deviations(results):
    text, report = reported(results)
    rows = {row["arm"]: row for row in report["parts"][0]["rows"]}
    neck = rows["neck"]
    assert neck["seeds"] == [1, 2]
    assert neck["mean"]["clean"] == pytest.approx(0.55)
    assert neck["sd"]["clean"] == pytest.approx(np.std([0.53, 0.57], ddof=1), abs=1e-5)
    assert neck["mean"]["severities_3-5"] == pytest.approx(0.55 - 4 * 0.05)
    assert neck["mean"]["mPC"] == pytest.approx(0.55 - 3 * 0.05)
    assert neck["mean"]["AP_S severities_3-5"] == pytest.approx((0.55 - 4 * 0.05) / 2)
    assert neck["added_parameters"] == 5000
    assert rows["vanilla"]["sd"]["clean"] is None
    row = cells(text, "the neck")[0]
    assert row[:2] == ["2", "0.550 ± 0.028"]
    assert row[-2:] == ["5,000", "-"]
    assert cells(text, "plain detector")[0][1] == "0.500"


def test_intervals_are_quantiles_of_the_paired_differences(results):
    _, report = reported(results)
    rows = report["parts"][0]["differences"]["control"]
    (found,) = (r for r in rows if (r["model"], r["condition"]) == ("neck", "severities_3-5"))
    assert found["difference"] == pytest.approx(0.04)
    # What all arms share cancels; what is left is the neck's own noise, and the drawn seeds'.
    own = np.random.default_rng(500).normal(0, 0.01, (2, 50))[1] / 2
    drawn = [np.random.default_rng([0, number, 1, 2]).integers(2, size=2) for number in range(50)]
    seeds = [np.mean(np.subtract(CLEAN["neck"], CLEAN["control"])[i]) for i in drawn]
    low, high = np.quantile(own + seeds, [0.025, 0.975])
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=2e-5)
    assert found["excludes_zero"]


def test_bold_marks_intervals_that_exclude_zero(results):
    text, _ = reported(results)
    against_control, against_vanilla = cells(text, "the neck")[1:3]
    assert re.fullmatch(r"\*\*\+0\.040 \[\+0\.0\d\d, \+0\.0\d\d\]\*\*", against_control[1])
    assert against_vanilla[0].startswith("**+0.050 [+0.0")
    # In clean images the control's worse seed is just as good.
    assert re.fullmatch(r"\+0\.010 \[\+0\.000, \+0\.020\]", cells(text, "the control")[1][0])


def test_what_has_not_run_is_listed(results):
    (results / "arms/neck/test_seed2.json").unlink()
    write_record(results, "dropped", 1, measured_part(falling(0.5, 0.05)))
    text, report = reported(results)
    assert "records of arms that are not listed: dropped." in text
    assert report["not_run"] == dict(neck=[2], idea=["any"], other=[1, 2])
    assert "Not run: an idea; another idea." in text
    assert cells(text, "an idea") == []
    assert cells(text, "the neck")[-1][:2] == ["1", "2"]
    assert cells(text, "the control")[-1][:3] == ["1, 2", "none", "4"]


def test_slow_arms_are_compared_on_the_images_that_they_have(results):
    text, report = reported(results)
    whole, part = report["parts"]
    assert (whole["num_images"], part["num_images"]) == (500, 100)
    assert [row["arm"] for row in whole["rows"]] == ["vanilla", "control", "neck"]
    assert [row["arm"] for row in part["rows"]] == ["vanilla", "control", "neck", "slow"]
    (row,) = (
        r for r in part["differences"]["control"] if (r["model"], r["condition"]) == ("slow", "P")
    )
    assert row["difference"] == pytest.approx(0.3 - 0.4)
    assert "first 100 images" in text


def test_conclusions_images_and_latency_are_on_the_page(results):
    docs = results.parents[1] / "docs"
    text, _ = reported(results)
    assert "No conclusions have been written" in text
    assert "this self-made data" in text
    (docs / "study_conclusions.md").write_text("The neck is ahead.\n")
    (results / "failures.jpg").touch()
    arms = {name: dict(ms=10.0, relative=1.25) for name in ("vanilla", "neck", "slow")}
    machine = dict(date="2026-01-01", commit="1234567", hardware="2 cores")
    (results / "latency.json").write_text(json.dumps(dict(size=256, arms=arms, **machine)))
    text, _ = reported(results, data="COCO")
    assert (docs / "study.md").read_text() == text
    assert "The neck is ahead." in text
    assert "holds for COCO" in text
    assert cells(text, "the neck")[0][-1] == "1.25"
    assert "median time of a 256 x 256 px image" in text
    links = re.findall(r"\]\((\S+)\)", text)
    assert all((docs / link).exists() for link in links)
    assert sum(link.endswith((".png", ".jpg")) for link in links) == 4
    for name in ("curves", "robustness", "latency"):
        assert cv2.imread(str(results / f"{name}.png")).std() > 5


def test_another_split_has_files_of_its_own(results):
    write_record(results, "control", 7, measured_part(falling(0.4, 0.04)), split="val")
    text = write_report(results, results / "docs", arms=ARMS, split="val")
    assert "0.400" in text
    assert "conclusions" not in text
    assert (results / "docs/study_val.md").is_file()
    assert (results / "report_val.json").is_file()
    assert not (results / "report.json").exists()


def test_no_records(tmp_path):
    with pytest.raises(ValueError, match="has no records of the test split"):
        write_report(tmp_path, tmp_path, arms=ARMS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(images="others"), "other images, others and images500"),
        (dict(resamples=49), r"other resamples, \[49\] and \[50\]"),
        (dict(condition="fog"), "other conditions"),
        (dict(arm="control"), "is not what its name says but a record of the arm 'control'"),
        (dict(seed=4), "split 'test', seed 4"),
    ],
)
def test_records_that_do_not_belong_together(results, change, message):
    part = measured_part(falling(0.5, 0.05), resamples=change.get("resamples", 50))
    part["images"] = change.get("images", part["images"])
    if "condition" in change:
        part["conditions"]["fog"] = part["conditions"].pop("held_out")
    path = write_record(results, "neck", 3, part)
    identity = {key: change[key] for key in ("arm", "seed") if key in change}
    path.write_text(json.dumps(dict(json.loads(path.read_text()), **identity)))
    with pytest.raises(ValueError, match=message):
        reported(results)
