from derain_plugin.engine.safety import checkpoint, stored_config, whole_file_backend

__all__ = ["checkpoint", "stored_config", "whole_file_backend"]
