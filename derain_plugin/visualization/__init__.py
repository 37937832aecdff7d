from derain_plugin.visualization.image_names import ImageNames
from derain_plugin.visualization.mask_panels import draw_mask_panels, overlay_mask
from derain_plugin.visualization.rain_masks import (
    MaskedImage,
    RainMaskRecorder,
    crop_to_file,
    file_area,
)

__all__ = [
    "ImageNames",
    "MaskedImage",
    "RainMaskRecorder",
    "crop_to_file",
    "draw_mask_panels",
    "file_area",
    "overlay_mask",
]
