import pytest

from derain_plugin.files import atomic_write, lock_dir, partial_of


@pytest.mark.parametrize("content", [b"\x00\xff", "naïve"])
def test_content_arrives(tmp_path, content):
    path = tmp_path / "name.json"
    atomic_write(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "name.json"
    atomic_write(path, "old")
    partial_of(path).mkdir()  # nothing can be written there
    with pytest.raises(OSError, match=r"name\.json"):
        atomic_write(path, "new")
    assert path.read_text() == "old"


def test_a_folder_is_locked_once(tmp_path):
    again = pytest.raises(ValueError, match="still works in")
    with lock_dir(tmp_path), again, lock_dir(tmp_path):
        pass
    with lock_dir(tmp_path):
        pass
