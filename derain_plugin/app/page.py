"""The page: what is on it, what its controls do, and the server that sends it."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np

from derain_plugin.apis.annotator import arrange
from derain_plugin.app.comparison import Comparison, Result, side_by_side
from derain_plugin.app.images import FORMATS, MEGA, Examples, read_uploaded_image
from derain_plugin.files import atomic_write
from derain_plugin.rain import SEVERITIES

SCORE_THR = 0.4
KEPT_SECONDS = 3600  # images that were sent or shown
SWEEP_SECONDS = 600
WAITING = 16  # requests; further ones are turned away
TITLE = "Detection in rain"
ABOUT = """\
# Detection in rain
Rain is rendered on the image, and both detectors look at the same pixels. Images over 1280 px
are shrunk. Nothing leaves this server; images are deleted after an hour, or when it stops.
"""


class Page:
    """The page and what its controls do.

    Args:
        comparison: Of the two detectors.
        folder: The only one that is written into; :func:`own_folder` makes it.
        max_megapixels: Larger uploads are refused.

    Attributes:
        blocks: Gradio's, to be launched.

    Raises:
        ImportError: Gradio is not installed.
    """

    def __init__(self, comparison: Comparison, *, folder: Path, max_megapixels: float) -> None:
        self._gr = import_gradio()
        self._comparison = comparison
        self._examples = Examples()
        self._result = folder / "derain_result.png"
        self._max_megapixels = max_megapixels
        self.blocks = self._gr.Blocks(
            title=TITLE, analytics_enabled=False, delete_cache=(SWEEP_SECONDS, KEPT_SECONDS)
        )
        with self.blocks:
            self._lay_out()

    def show(self, upload: str | None, example: str, severity: float, score_thr: float) -> tuple:
        """Return what the outputs show: both paintings, the masks, the table and the download.

        Args:
            upload: The file of an uploaded image; None for the example.
            example: Name of one of :class:`Examples`.
            severity: Of the rain, 0-5.
            score_thr: 0-1.

        Raises:
            gradio.Error: With a message for the user.
        """
        try:
            image = self._read(upload, example)
            results = self._comparison.detect(image, severity=int(severity), score_thr=score_thr)
        except (ValueError, ImportError) as error:
            raise self._gr.Error(str(error), print_exception=False) from error
        # One request at a time: gradio has its own copy before the next one writes.
        atomic_write(self._result, cv2.imencode(".png", side_by_side(results))[1].tobytes())
        painted = [_as_rgb(one.view.painted) for one in results]
        masks = _as_rgb(arrange([results[1].view])) if results[1].view.masked else None
        return *painted, masks, describe(results), str(self._result)

    def _read(self, upload: str | None, example: str) -> np.ndarray:
        if upload is None:
            return self._examples.load(example)
        return read_uploaded_image(Path(upload), max_megapixels=self._max_megapixels)

    def _lay_out(self) -> None:
        gr, names = self._gr, self._examples.names
        gr.Markdown(ABOUT)
        with gr.Row():
            with gr.Column(scale=2):
                example = gr.Radio(names, value=names[0], label="Example")
                severity = gr.Slider(
                    0, max(SEVERITIES), value=0, step=1, label="Rain severity", elem_id="severity"
                )
                score_thr = gr.Slider(
                    0, 1, value=SCORE_THR, step=0.05, label="Score threshold", elem_id="score_thr"
                )
            upload = gr.File(
                label=f"Or your own ({', '.join(FORMATS)}; up to {self._max_megapixels:g} "
                "megapixels)",
                file_types=[".bmp", ".jpg", ".jpeg", ".png", ".webp"],
                elem_id="upload",
            )
        with gr.Row():
            paintings = [self._image(d.name, f"seen_{n}") for n, d in enumerate(self._detectors)]
        table = gr.Markdown(elem_id="table")
        with gr.Column(visible=self._comparison.shows_masks):
            gr.Markdown(f"Rain masks of {self._detectors[1].name}, 0-1, at each stride:")
            masks = self._image(None, "masks")
        result = gr.DownloadButton("Download the result", elem_id="download")

        shown = dict(
            fn=self.show,
            inputs=[upload, example, severity, score_thr],
            outputs=[*paintings, masks, table, result],
            show_progress="minimal",
            trigger_mode="always_last",
            api_visibility="private",
        )
        self.blocks.load(**shown)
        example.input(lambda: None, outputs=upload, api_visibility="private").then(**shown)
        gr.on([upload.upload, upload.clear, severity.change, score_thr.change], **shown)

    @property
    def _detectors(self) -> tuple:
        return self._comparison.detectors

    def _image(self, label: str | None, elem_id: str) -> Any:
        return self._gr.Image(
            label=label,
            show_label=label is not None,
            elem_id=elem_id,
            format="png",
            interactive=False,
            buttons=["fullscreen"],
        )


def describe(results: tuple[Result, Result]) -> str:
    """Return a table of what the two took and found, as Markdown."""
    rows = [
        f"| {one.view.title} | {1000 * one.seconds:.0f} | {len(one.found)} |" for one in results
    ]
    return "\n".join(["| detector | ms, this image | boxes |", "| --- | ---: | ---: |", *rows])


def serve(
    page: Page, *, host: str, port: int | None, max_upload_mb: float, blocking: bool = True
) -> str:
    """Serve the page until Ctrl-C, or in the background, and return its address.

    Raises:
        OSError: The port is taken.
    """
    gr = import_gradio()
    # System fonts: the browser, too, is not to load anything from elsewhere.
    theme = gr.themes.Base(
        font=[gr.themes.Font("system-ui"), gr.themes.Font("sans-serif")],
        font_mono=[gr.themes.Font("ui-monospace"), gr.themes.Font("monospace")],
    )
    page.blocks.queue(max_size=WAITING, default_concurrency_limit=1)
    _, address, _ = page.blocks.launch(
        server_name=host,
        server_port=port,
        max_file_size=math.ceil(max_upload_mb * MEGA),
        theme=theme,
        prevent_thread_lock=not blocking,
        share=False,
        inbrowser=False,
        show_error=True,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        run_history=False,
        footer_links=[],
    )
    return address


@contextmanager
def own_folder() -> Iterator[Path]:
    """Make the folder of a server: all that it and gradio write is there, and goes with it."""
    with tempfile.TemporaryDirectory(prefix="derain_app_") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # some of gradio's modules read it at import
        yield Path(folder)


def import_gradio() -> ModuleType:
    """Import gradio, and keep it from telling anyone.

    Raises:
        ImportError: It is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    try:
        import gradio
    except ImportError as error:
        raise ImportError("the page needs gradio: pip install derain_plugin[app]") from error
    return gradio


def _as_rgb(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[..., ::-1])
