"""Evaluate a detector on clean and rainy images; --help says how."""

from derain_plugin.cli.test import main

if __name__ == "__main__":
    main()
