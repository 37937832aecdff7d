from derain_plugin.models.data_preprocessors.batch_random_resize import BatchRandomResize
from derain_plugin.models.data_preprocessors.pixel_derain_data_preprocessor import (
    PixelDerainDataPreprocessor,
)

__all__ = ["BatchRandomResize", "PixelDerainDataPreprocessor"]
