"""Turn a trained RT-DETR into a folder for transformers; --help says how."""

from derain_command import run

if __name__ == "__main__":
    run("export_hf")
