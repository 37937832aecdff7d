from derain_plugin.engine import hooks, optim_wrappers, safety

__all__ = ["hooks", "optim_wrappers", "safety"]
