from derain_plugin.hub.hf_checkpoint import load_from_hf

__all__ = ["load_from_hf"]
