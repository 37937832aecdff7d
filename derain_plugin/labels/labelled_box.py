"""One labelled object of an image."""

from dataclasses import dataclass

from derain_plugin.labels.supervision_parser import Corners


@dataclass(frozen=True, slots=True)
class LabelledBox:
    """A box as its label file has it; it may reach outside the image.

    Attributes:
        name: Class name, as the data set spells it.
        corners: ``x1, y1, x2, y2`` in px; 0 is the image's left and top edge.
        where: Place in the label file, for messages.
        is_difficult: Pascal VOC's flag: finding it is neither rewarded nor punished.
    """

    name: str
    corners: Corners
    where: str
    is_difficult: bool = False

    def clipped(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return ``x, y, w, h`` in px of the part inside the image; w or h may be 0."""
        x1, x2 = (min(max(x, 0.0), width) for x in self.corners[::2])
        y1, y2 = (min(max(y, 0.0), height) for y in self.corners[1::2])
        return x1, y1, x2 - x1, y2 - y1
