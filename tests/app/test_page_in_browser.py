"""The page in a headless Chromium: what users do, and what nobody should be able to do."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("gradio", reason="the page needs gradio: pip install .[app]")
pytest.importorskip("playwright", reason="a browser is driven by playwright")

import httpx

from derain_plugin.app.page import Page, own_folder, serve
from derain_plugin.app.screenshot import CHROMIUM, open_page, set_slider

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"there is no {CHROMIUM}"),
]


@pytest.fixture
def served(comparison):
    with own_folder() as folder:
        page = Page(comparison, folder=folder, max_megapixels=0.01)
        yield serve(page, host="127.0.0.1", port=None, max_upload_mb=0.1, blocking=False), folder
        page.blocks.close(verbose=False)
    assert not folder.exists()


def boxes(page, expected):
    """Wait until both detectors have found so many."""
    cells = "#table tbody tr:nth-child({}) td:nth-child(3)"
    for row in (1, 2):
        page.locator(cells.format(row), has_text=str(expected)).wait_for()


def test_a_visit(served, grey, tmp_path):
    address, folder = served
    for name, image in (("grey", grey), ("large", np.zeros((101, 100, 3), np.uint8))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), image)
    (tmp_path / "bad.png").write_bytes(b"no image")
    with open_page(address) as page:
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.reload()
        boxes(page, 1)
        page.set_input_files("#upload input[type=file]", tmp_path / "grey.png")
        boxes(page, 2)
        set_slider(page, "severity", 3)  # waits until both images are others
        boxes(page, 1)
        set_slider(page, "severity", 0)
        boxes(page, 2)
        set_slider(page, "score_thr", 0.6)
        boxes(page, 1)
        with page.expect_download() as download:
            page.locator("#download").click()
        assert cv2.imread(str(download.value.path())).shape[1] > 2 * 320
        page.get_by_label("coffee").check()
        boxes(page, 0)

        for name, message in (("bad", "cannot be read as an image"), ("large", "megapixels")):
            page.get_by_label("coffee").check()
            page.set_input_files("#upload input[type=file]", tmp_path / f"{name}.png")
            page.get_by_text(message).last.wait_for()
            page.reload()
            page.locator("#table table").wait_for()
    own = ("data:", "blob:", address.rstrip("/"))
    assert [url for url in asked if not url.startswith(own)] == []
    assert Path(os.environ["GRADIO_TEMP_DIR"]) == folder


@pytest.mark.parametrize(("size", "status"), [(100_000, 200), (100_001, 413)])
def test_large_files_are_refused(served, size, status):
    address, folder = served
    answer = httpx.post(f"{address}gradio_api/upload", files=dict(files=("a.png", bytes(size))))
    assert answer.status_code == status
    kept = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    assert kept == ([size] if status == 200 else [])


@pytest.mark.parametrize("path", ["/etc/passwd", str(Path(__file__))])
def test_no_file_of_the_machine_is_served(served, path):
    assert httpx.get(f"{served[0]}gradio_api/file={path}").status_code == 403
