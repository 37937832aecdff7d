"""The README and the pages beside it, with the code blocks in them and what is said about those."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "examples/downstream/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
BLOCK = re.compile(
    r"(?:^<!-- (?P<marker>[^\n]*) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.M | re.S
)


@dataclass(frozen=True)
class Block:
    """A fenced block of code.

    The comment right above it says why no test here runs it (``needs: COCO, GPU``), which test
    elsewhere does (``tested: tests/...``), or what it is a child config of (``config: FILE``;
    ``config`` alone if it says so itself). Parts are separated by semicolons.
    """

    page: str
    line: int
    language: str
    code: str
    marks: dict[str, str]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def runs(self) -> bool:
        return not self.marks


def find_blocks(language: str) -> list[Block]:
    """All blocks of a language, in all pages."""
    blocks = []
    for page in PAGES:
        text = page.read_text()
        for found in BLOCK.finditer(text):
            if found["language"] == language:
                line = text.count("\n", 0, found.start("code"))
                name = str(page.relative_to(ROOT))
                blocks.append(Block(name, line, language, found["code"], _marks(found["marker"])))
    return blocks


def _marks(marker: str | None) -> dict[str, str]:
    parts = (part.partition(":") for part in (marker or "").split(";"))
    return {name.strip(): value.strip() for name, _, value in parts if name.strip()}
