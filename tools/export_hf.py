"""Turn a trained RT-DETR into a folder for transformers; --help says how."""

from derain_plugin.cli.export_hf import main

if __name__ == "__main__":
    main()
