"""The report of the study on real rain, from records that were made up."""

import json

import numpy as np
import pytest

from projects.study.real import report
from projects.study.real.arms import ARMS, find_arms
from projects.study.real.comparison import compare, load_results
from projects.study.real.photographs import SETS
from projects.study.real.records import record_file
from projects.study.resampled_ap import packed

PAGE = f"# Page\n\nbefore\n\n{report.BEGIN}\nold\n{report.END}\n\nafter\n"
MACHINE = dict(commit="abc1234", date="2026-11-29", hardware="2 cores", versions="torch 2")


def write_record(results, name, seed, car_ap, sets=SETS, noise=0.0):
    """AP in resamples is AP plus the same noise for all arms, plus ``noise`` of its own."""
    (arm,) = find_arms([name])
    draws = np.random.default_rng(0).normal(0, 0.05, 200)
    own = noise * np.random.default_rng(seed + 1).normal(0, 1, 200)
    part = dict(
        num_images=9, images="photos", looked_at="2026-11-29T12:00+00:00", commit="abc1234",
        measures={"AP": 0.5, "AP50": 0.6, "car AP": car_ap},
        bootstrap={
            name: packed(value, value + draws + own)
            for name, value in {"AP": 0.5, "AP50": 0.6, "car AP": car_ap}.items()
        },
    )  # fmt: skip
    record = dict(arm=name, seed=seed, **MACHINE, sets={each.name: dict(part) for each in sets})
    path = record_file(results, arm, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    results, docs = root / "results", root / "docs"
    docs.mkdir()
    (docs / "real_rain.md").write_text(PAGE)
    selection = [each for each in SETS if not each.is_reported]
    write_record(results, "vanilla", 0, 0.3)
    for seed, car_ap in ((1, 0.31), (2, 0.33)):
        write_record(results, "neck_ms", seed, car_ap, noise=1e-4)
    write_record(results, "all_colours_1e-5", 1, 0.3, noise=0.02)
    write_record(results, "filter", 1, 0.25, selection)
    return results, docs, report.write_report(results, docs)


def rows_of(text, title):
    return [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in text.splitlines()
        if line.startswith(f"| {title} |")
    ]


def test_the_tables_have_what_was_measured_and_a_line_names_the_rest(written):
    _, _, text = written
    first = rows_of(text, "multi-scale neck")[0]
    assert first == ["multi-scale neck", "2", *["0.320 ± 0.014"] * len(SETS)]
    filtered = rows_of(text, "image-adaptive filter, cropped photos")[0]
    assert filtered[2:] == ["0.250"] * 6 + ["-", "-"]
    assert not rows_of(text, "lightweight neck, cropped photos")
    ran = ("vanilla", "neck_ms", "all_colours_1e-5", "filter")
    missing = "; ".join(arm.title for arm in ARMS if arm.name not in ran)
    assert f"\n\nNot run: {missing}.\n\n" in text


def test_differences_are_paired_and_bold_where_they_exclude_zero(written):
    _, _, text = written
    against_vanilla, against_control = rows_of(text, "multi-scale neck")[3:]
    assert against_vanilla[-1].startswith("**+0.020 [+0.0")
    assert against_control[-1].startswith("+0.020 [")  # its noise is its own
    assert rows_of(text, "vanilla")[-1][-1].startswith("+0.000")
    assert rows_of(text, "image-adaptive filter, cropped photos")[3][-2:] == ["-", "-"]


def test_numbers_and_figure_lie_beside_the_records(written):
    results, _, _ = written
    found = json.loads((results / "report.json").read_text())
    by_name = {row["arm"]: row for row in found["arms"]}
    assert by_name["neck_ms"]["seeds"] == [1, 2]
    rain = by_name["neck_ms"]["sets"]["rain"]["car AP"]
    assert rain["mean"] == pytest.approx(0.32)
    assert rain["interval"][0] < 0.32 < rain["interval"][1]
    assert (results / report.FIGURE).read_bytes().startswith(b"\x89PNG")
    row = next(
        row for row in found["differences"]["vanilla"]["rain"]
        if (row["model"], row["condition"]) == ("neck_ms", "car AP")
    )  # fmt: skip
    assert row["difference"] == pytest.approx(0.02)


def test_the_page_gets_the_tables_between_its_markers(written):
    results, docs, text = written
    page = (docs / "real_rain.md").read_text()
    assert page.startswith("# Page\n\nbefore\n")
    assert page.endswith(f"{report.END}\n\nafter\n")
    assert text.strip() in page
    assert "\nold\n" not in page
    assert "(../results/car_ap.png)" in page
    report.write_report(results, docs)
    assert (docs / "real_rain.md").read_text() == page
    with pytest.raises(ValueError, match="needs one line"):
        report.between_markers("no markers", "text")


def test_nothing_has_run(tmp_path):
    text = report.write_report(tmp_path / "results", tmp_path)
    assert text == "No arm has run yet.\n"
    assert not (tmp_path / "results" / report.FIGURE).exists()


def test_records_of_other_photos_are_refused(tmp_path):
    for name in ("vanilla", "neck_ms"):
        write_record(tmp_path, name, 0, 0.3)
    path = tmp_path / "arms/neck_ms_seed0.json"
    path.write_text(path.read_text().replace('"images": "photos"', '"images": "others"', 1))
    with pytest.raises(ValueError, match="measured on other photos or boxes of coco"):
        load_results(tmp_path)


def test_seeds_are_drawn_with_the_photos(tmp_path):
    for seed, car_ap in ((1, 0.2), (2, 0.4)):
        write_record(tmp_path, "neck_ms", seed, car_ap)
    write_record(tmp_path, "vanilla", 0, 0.3)
    vanilla, neck = load_results(tmp_path, find_arms(["vanilla", "neck_ms"]))
    rows = {row.condition: row for row in compare([vanilla, neck], vanilla, SETS[0])}
    assert rows["car AP"].low == pytest.approx(-0.1, abs=1e-4)
    assert rows["car AP"].high == pytest.approx(0.1, abs=1e-4)
    assert rows["AP"].low == pytest.approx(0, abs=1e-4)
