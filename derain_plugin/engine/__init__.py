from derain_plugin.engine import checkpoint, hooks, optim_wrappers

__all__ = ["checkpoint", "hooks", "optim_wrappers"]
