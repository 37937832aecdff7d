"""The part of a detector's input that a picture's file fills, without the pipeline's padding."""

from dataclasses import replace

from mmdet.structures import DetDataSample

from derain_plugin.visualization.rain_mask_recorder import MaskedPicture, without_padding


def file_area(sample: DetDataSample) -> tuple[int, int]:
    """Return its height and width in px, in a test: pipelines there resize and pad only.

    ``img_shape`` does not tell, as mmcv's ``Pad`` counts the padding in.
    """
    height, width = sample.ori_shape
    scale_x, scale_y = sample.metainfo.get("scale_factor", (1.0, 1.0))
    return round(height * scale_y), round(width * scale_x)


def crop_to_file(seen: MaskedPicture) -> MaskedPicture:
    """Take the pipeline's padding off a picture of a test, and off its masks."""
    area, padded = file_area(seen.sample), seen.picture.shape[:2]
    masks = tuple(without_padding(mask, area, padded) for mask in seen.masks)
    return replace(seen, picture=seen.picture[: area[0], : area[1]], masks=masks)
