"""The server of the page under 200 bad uploads at once; no browser is needed."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import pytest

pytest.importorskip("gradio", reason="the page needs gradio: pip install .[app]")

import gradio
import httpx

from derain_plugin.app.page import Page, own_folder, serve

CONTENTS = (b"", b"no image", b"\x89PNG\r\n\x1a\n" + bytes(500), b"\xff\xd8\xff" + bytes(500))
TOO_LARGE = bytes(200_000)
COUNT = 200


@pytest.mark.slow
def test_it_survives_200_bad_uploads_at_once(comparison, grey):
    with own_folder() as folder:
        page = Page(comparison, folder=folder, max_megapixels=0.01)
        address = serve(page, host="127.0.0.1", port=None, max_upload_mb=0.1, blocking=False)
        try:
            statuses = upload_all(f"{address}gradio_api/upload")
            assert statuses == [413 if n % 5 == 4 else 200 for n in range(COUNT)]
            assert httpx.get(address).status_code == 200
            refuse_all(page, [path for path in folder.rglob("*.png") if path.is_file()])
            cv2.imwrite(str(folder / "good.png"), grey)
            assert "| 2 |" in page.show(str(folder / "good.png"), "coffee", 0, 0.4)[3]
        finally:
            page.blocks.close(verbose=False)
    assert not folder.exists()


def upload_all(address):
    contents = [TOO_LARGE if n % 5 == 4 else CONTENTS[n % 5] + bytes([n]) for n in range(COUNT)]

    def upload(numbered):
        files = dict(files=(f"../../evil_{numbered[0]}.png", numbered[1]))
        return httpx.post(address, files=files, timeout=60).status_code

    with ThreadPoolExecutor(COUNT) as pool:
        return list(pool.map(upload, enumerate(contents)))


def refuse_all(page, paths):
    assert len(paths) >= COUNT * 4 // 5  # all of them within the server's own folder

    def refused(path):
        with pytest.raises(gradio.Error, match="cannot be read as an image"):
            page.show(str(path), "coffee", 0, 0.4)
        return True

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(refused, paths))
