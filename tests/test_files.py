import pytest

from derain_plugin.files import hold_folder, partial_of, write_whole


@pytest.mark.parametrize("content", [b"\x00\xff", "naïve"])
def test_content_arrives(tmp_path, content):
    path = tmp_path / "name.json"
    write_whole(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "name.json"
    write_whole(path, "old")
    partial_of(path).mkdir()  # nothing can be written there
    with pytest.raises(OSError, match=r"name\.json"):
        write_whole(path, "new")
    assert path.read_text() == "old"


def test_a_folder_is_held_once(tmp_path):
    again = pytest.raises(ValueError, match="still works in")
    with hold_folder(tmp_path), again, hold_folder(tmp_path):
        pass
    with hold_folder(tmp_path):
        pass
