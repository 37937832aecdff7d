"""The README is short, begins with the verdict, and quotes what the study and the results say."""

import re

import pytest
from documentation import ROOT

README = (ROOT / "README.md").read_text()
STUDY = (ROOT / "projects/study/results/study/study.md").read_text()
# In the README's order; the study has more columns.
COLUMNS = [
    *("arm", "seeds", "AP clean", "AP rain 3-5", "mPC", "AP held-out rain", "added parameters"),
]


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def rows(text, first_columns):
    """The rows of the table whose header begins with these columns, by their first cell."""
    lines = text.splitlines()
    (start,) = [
        n for n, line in enumerate(lines) if cells(line)[: len(first_columns)] == first_columns
    ]
    header, found = cells(lines[start]), {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        found[cells(line)[0]] = dict(zip(header, cells(line), strict=True))
    return found


REAL_RAIN = (ROOT / "docs/real_rain.md").read_text()
ADAPT = (ROOT / "docs/adapt.md").read_text()
REAL_RESULTS = (ROOT / "projects/study/results/real/report.md").read_text()
QUOTED = rows(README, COLUMNS)


def test_it_is_short():
    assert len(README.encode()) <= 10_240


def test_it_says_the_verdict_before_how_to_install():
    titles = re.findall(r"^## (.+)$", README, re.M)
    assert titles[:2] == ["The verdict", "Install"]
    assert titles[-2:] == ["Citation", "Licence"]


def test_it_has_one_image():
    assert len(re.findall(r"!\[", README)) == 1


@pytest.mark.parametrize("arm", QUOTED)
def test_results_are_those_of_the_study(arm):
    study = rows(STUDY, ["arm", "seeds", "AP clean"])[arm]
    assert QUOTED[arm] == {column: study[column] for column in COLUMNS}


def test_the_page_quotes_the_study():
    study = rows(STUDY, ["arm", "seeds", "AP clean"])
    quoted = rows((ROOT / "docs/study.md").read_text(), ["arm", "seeds", "AP clean"])
    assert len(quoted) >= 4
    for arm, row in quoted.items():
        assert row == {column: study[arm][column] for column in row}


def verdict_intervals():
    """Numbers with an interval, in the verdict and in what two pages say of real rain."""
    verdict = README.partition("## The verdict")[2].partition("\n## ")[0]
    verdict += REAL_RAIN.partition("## What it says")[2].partition("\n## ")[0]
    verdict += ADAPT.partition("## What it has gained")[2].partition("\n## ")[0]
    text = " ".join(verdict.split())
    return re.findall(r"-?(\d\.\d+) (?:car AP |AP |)\[([^\]]+)\]", text)


@pytest.mark.parametrize(("value", "interval"), verdict_intervals())
def test_the_verdict_is_that_of_the_study(value, interval):
    """Differences may be said the other way round, with the signs turned."""
    bounds = [float(bound) for bound in interval.split(", ")]
    study = " ".join(REAL_RESULTS.replace("+", "").split())
    turned = [-bounds[1], -bounds[0]]
    said = [f"{value} [{low:.3f}, {high:.3f}]" for low, high in (bounds, turned)]
    assert any(words in study for words in said), said


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"\b(?:tools|configs)/[\w/]+\.\w+", README)))
)
def test_named_files_exist(path):
    assert (ROOT / path).is_file()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`?make ([\w-]+)", README))))
def test_make_targets_exist(target):
    assert f"\n{target}:" in (ROOT / "Makefile").read_text()


def configs_of_the_table():
    names = re.findall(
        r"`([\w/{},]+\.py)`", README.partition("## Configs")[2].partition("\n## ")[0]
    )
    for name in names:
        start, *choice = re.split(r"[{}]", name)
        for part in choice[0].split(",") if choice else [""]:
            yield start + part + (choice[1] if choice else "")


def test_the_table_of_configs_has_all_of_them():
    shipped = [*ROOT.glob("configs/*.py"), *ROOT.glob("configs/mmdet/*.py")]
    assert sorted(configs_of_the_table()) == sorted(
        str(path.relative_to(ROOT / "configs")) for path in shipped
    )
