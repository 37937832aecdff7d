from derain_plugin.models.data_preprocessors.batch_random_resize import BatchRandomResize

__all__ = ["BatchRandomResize"]
