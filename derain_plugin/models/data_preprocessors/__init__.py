from derain_plugin.models.data_preprocessors.batch_random_resize import BatchRandomResize
from derain_plugin.models.data_preprocessors.pixel_derain_data_preprocessor import (
    PixelDerainDataPreprocessor,
)
from derain_plugin.models.data_preprocessors.rain_twin_data_preprocessor import (
    RainTwinDataPreprocessor,
)

__all__ = ["BatchRandomResize", "PixelDerainDataPreprocessor", "RainTwinDataPreprocessor"]
