from derain_plugin.engine import hooks, optim_wrappers, safety, settings_runner

__all__ = ["hooks", "optim_wrappers", "safety", "settings_runner"]
