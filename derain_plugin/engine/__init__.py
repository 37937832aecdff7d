from derain_plugin.engine import checkpoint, hooks, optim_wrappers, whole_file_backend

__all__ = ["checkpoint", "hooks", "optim_wrappers", "whole_file_backend"]
