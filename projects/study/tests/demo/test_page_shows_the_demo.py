"""The page of the package, which knows no project, looks where the demo writes."""

from pathlib import Path

from derain_plugin.app import demo as page
from projects.study.cli import demo
from projects.study.demo.plan import DERAINED, VANILLA, Model, Plan


def test_names_and_folders():
    args = demo.parse_args([])
    assert (Path(args.work_dir), Path(args.data)) == (page.WORK_DIR, page.DATA)
    assert (VANILLA, DERAINED) == (page.VANILLA, page.DERAINED)
    checkpoint = Plan(page.WORK_DIR, page.DATA).checkpoint_of(Model("last", DERAINED, 6))
    assert checkpoint == page.WORK_DIR / DERAINED / "epoch_6.pth"
