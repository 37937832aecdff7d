from derain_plugin.visualization.file_area import crop_to_file, file_area
from derain_plugin.visualization.mask_overlay import overlay_mask
from derain_plugin.visualization.mask_panels import draw_mask_panels
from derain_plugin.visualization.picture_names import PictureNames
from derain_plugin.visualization.rain_mask_recorder import MaskedPicture, RainMaskRecorder

__all__ = [
    "MaskedPicture",
    "PictureNames",
    "RainMaskRecorder",
    "crop_to_file",
    "draw_mask_panels",
    "file_area",
    "overlay_mask",
]
