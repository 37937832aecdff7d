import json

import pytest

from projects.benchmark import rain_cost
from projects.benchmark.cli import benchmark
from projects.benchmark.cli.benchmark import main

TINY = ["--size", "64", "--rounds", "3"]


@pytest.fixture
def only(configs):
    return ["--only", *(str(configs[name]) for name in ("vanilla", "ms")), *TINY]


def test_writes_table_json_and_chart(only, tmp_path, capsys):
    out = ["--out-dir", str(tmp_path / "new/results")]
    main([*only, *out])
    name = tmp_path / "new/results/cpu_fp32_64px_batch1"
    report = json.loads(name.with_suffix(".json").read_text())
    assert [row["config"] for row in report["inference"]] == ["vanilla", "ms"]
    assert report["setting"]["size"] == 64
    assert {"commit", "date", "hardware", "versions"} <= report.keys()
    text = name.with_suffix(".md").read_text()
    assert text in capsys.readouterr().out
    assert "| ms | MultiScaleFeatureDerain |" in text
    assert "| vanilla | none |" in text
    assert "tools/benchmark.py --only" in text
    assert name.with_suffix(".png").read_bytes().startswith(b"\x89PNG")

    with pytest.raises(SystemExit, match="--overwrite"):
        main([*only, *out])
    main([*only, *out, "--overwrite"])


def test_training(only, tmp_path, monkeypatch):
    rates = {"without rain": 70.0, "with rain": 50.0}
    monkeypatch.setattr(rain_cost, "loader_rates", lambda folder: rates)
    main([*only, "--train", "--out-dir", str(tmp_path)])
    text = (tmp_path / "training_cpu_fp32_64px_batch1.md").read_text()
    assert "| transformers RTDetrForObjectDetection | none |" in text
    assert "50 with 70 % rainy" in text
    report = json.loads((tmp_path / "training_cpu_fp32_64px_batch1.json").read_text())
    assert report["loader_images_per_second"] == rates


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "100"], "multiple of 32"),
        (["--threads", "0"], "threads must be at least 1"),
        (["--device", "cuda:99"], "cuda:99"),
        (["--only", "missing.py"], "missing.py"),
    ],
)
def test_bad_settings_end_with_a_message(arguments, message, tmp_path):
    with pytest.raises(SystemExit, match=message):
        main([*arguments, "--out-dir", str(tmp_path)])
    assert not list(tmp_path.glob("*.md"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--only"],
        ["--train", "--backend", "compile"],
        ["--train", "--dtype", "fp16"],
        ["--rounds", "2"],
    ],
)
def test_bad_arguments(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_further_configs_come_beside_the_four():
    args = benchmark.parse_args(["mine.py"])
    assert [name.rpartition("rtdetr_r18_")[2] for name in benchmark._configs(args)] == [
        "coco.py",
        "spdnet.py",
        "featderain_ms.py",
        "featderain_lite.py",
        "mine.py",
    ]
    assert len(benchmark._configs(benchmark.parse_args(["--train"]))) == 3
