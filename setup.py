"""Packaging of derain_plugin; the metadata that is data lives in pyproject.toml."""

from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent


def requirements(name: str) -> list[str]:
    """Read ``requirements/<name>.txt``, without comments and blank lines."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


setup(
    install_requires=[
        "torch>=2.6",
        "transformers>=5.18",
        "pycocotools>=2.0.7",
        "hotcoco>=1.3",
        "opencv-python",
        "av>=17.1",  # the first with a stream's index
        "pillow",
        "tqdm",
    ],
    extras_require={
        "onedl": requirements("onedl"),
        "openmmlab": requirements("openmmlab"),
        "rain-tests": ["imaug>=0.4.3", "supervision>=0.31.2"],  # held-out rain, labels of real rain
        # tools/export.py; to run its files, onnxruntime or openvino alone will do.
        "export": [
            "onnx>=1.18",
            "onnxscript>=0.5.6",
            "onnxruntime>=1.22",
            "openvino>=2025.2",
            "nncf>=2.17",
        ],
        "app": requirements("app"),
        "dev": requirements("dev"),
        "docs": requirements("docs"),
    },
)
