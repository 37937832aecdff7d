import cv2
import numpy as np
import pytest

from derain_plugin.cli.browse_rain import SHIPPED, main
from derain_plugin.rain.contact_sheet import contact_sheet
from derain_plugin.rain.photos import load_photos


def test_shows_shipped_photos(tmp_path, capsys):
    main(["--out", str(tmp_path / "rain.png"), "--height", "40", "--seed", "3", "--lens-drops"])
    written = cv2.imread(str(tmp_path / "rain.png"))
    expected = contact_sheet(load_photos(*SHIPPED), height=40, seed=3, lens_drops=True)
    np.testing.assert_array_equal(written, expected)
    assert "3 photos" in capsys.readouterr().out


def test_shows_photos_of_the_user(tmp_path):
    photo = np.full((60, 80, 3), 120, np.uint8)
    cv2.imwrite(str(tmp_path / "street.png"), photo)
    options = ["--height", "60", "--components", "veil,spray=0.5"]
    main([str(tmp_path / "street.png"), "--out", str(tmp_path / "rain.png"), *options])
    expected = contact_sheet([photo], height=60, components="veil,spray=0.5")
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "rain.png")), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.jpg"], "no photo missing.jpg"),
        ([__file__], f"cannot read {__file__} as an image"),
        (["--height", "3"], "at least 16 px, got 3"),
    ],
)
def test_tells_what_is_wrong(tmp_path, arguments, message):
    out = tmp_path / "rain.png"
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--out", str(out)])
    assert message in str(stop.value)
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "rain.txt"], "got rain.txt"),
        (["--components", "fog"], "'fog' is no component"),
        (["--seed", "-1"], "must not be negative, got -1"),
    ],
)
def test_refuses_bad_options(capsys, arguments, message):
    with pytest.raises(SystemExit):
        main(arguments)
    assert message in capsys.readouterr().err
