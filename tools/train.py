"""Train a detector; --help says how."""

from derain_plugin.cli.train import main

if __name__ == "__main__":
    main()
