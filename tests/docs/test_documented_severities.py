"""The table of severities in docs/rain.md is the renderer's."""

from dataclasses import fields

import pytest
from documentation import ROOT

from derain_plugin.rain import SEVERITIES, Severity

TEXT = (ROOT / "docs/rain.md").read_text()


@pytest.mark.parametrize("name", [field.name for field in fields(Severity)])
def test_the_documented_table_is_the_real_one(name):
    (row,) = [line for line in TEXT.splitlines() if line.startswith(f"| `{name}` |")]
    values = [cell.strip() for cell in row.split("|")[3:-1]]
    assert values == [str(getattr(severity, name)) for severity in SEVERITIES.values()]
