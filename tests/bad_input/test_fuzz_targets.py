"""Each target of the fuzzer with random bytes, and with sound files that were damaged."""

import io
import json

import pytest
from fuzz_targets import TARGETS, attempt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

EXAMPLES = 150
quick = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def image(kind):
    file = io.BytesIO()
    Image.effect_noise((24, 16), 80).convert("RGB").save(file, kind)
    return file.getvalue()


BOX = dict(id=1, image_id=1, category_id=1, bbox=[0, 0, 4, 4], area=16, iscrowd=0)
COCO = dict(
    images=[dict(id=1, file_name="a.jpg", width=8, height=8)],
    annotations=[BOX],
    categories=[dict(id=1, name="car")],
)
VOC = (
    b"<annotation><size><width>640</width><height>480</height></size><object><name>car</name>"
    b"<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
)
PHASES = [dict(name="a", epochs=[1, 2], lr={"*": 0.1}), dict(name="b", epochs=[3, 4], lr={"c": 1})]
SOUND = dict(
    uploads=image("PNG"),
    rainy_copies=image("JPEG"),
    image_check=image("JPEG"),
    annotations=json.dumps(COCO).encode(),
    yolo=b"0 0.5 0.5 0.2 0.2\n1 0.1 0.1 0.2 0.1 0.2 0.2\n",
    voc=VOC,
    phases=json.dumps(PHASES).encode(),
    stored_configs=b"a = dict(b=[1, -2.5], c='d')\n",
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@pytest.mark.parametrize("name", TARGETS)
def test_sound_files_are_read(name):
    TARGETS[name](SOUND[name])


@pytest.mark.parametrize("name", TARGETS)
@quick
@given(content=st.binary(max_size=300))
def test_random_bytes(name, content):
    attempt(name, content)


@pytest.mark.parametrize("name", TARGETS)
@quick
@given(data=st.data())
def test_damaged_files(name, data):
    content = bytearray(SOUND[name])
    start = data.draw(st.integers(0, len(content) - 1))
    length = data.draw(st.integers(0, 40))
    content[start : start + length] = data.draw(st.binary(max_size=40))
    attempt(name, bytes(content))


@pytest.mark.parametrize("name", ["annotations", "phases"])
@quick
@given(data=st.data())
def test_values_of_other_kinds(name, data):
    content = json.loads(SOUND[name])
    entries = (
        [entry for kind in content for entry in content[kind]] if name != "phases" else content
    )
    entry = data.draw(st.sampled_from(entries))
    entry[data.draw(st.sampled_from(sorted(entry)))] = data.draw(VALUES)
    attempt(name, json.dumps(content).encode())
