"""The page of the package, which knows no project, looks where the demo writes."""

from pathlib import Path

from derain_plugin.app import demo as page
from projects.study.cli import demo
from projects.study.demo.plan import VANILLA, Plan


def test_names_and_folders():
    args = demo.parse_args([])
    assert (Path(args.work_dir), Path(args.data)) == (page.WORK_DIR, page.DATA)
    plan = Plan(page.WORK_DIR, page.DATA)
    assert plan.checkpoint_of(VANILLA).parent == page.WORK_DIR / page.VANILLA
    assert plan.merged == page.WORK_DIR / page.MERGED
