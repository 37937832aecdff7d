from derain_plugin.engine import hooks

__all__ = ["hooks"]
