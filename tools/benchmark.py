"""Compare what de-raining costs; --help says how."""

from derain_plugin.cli.benchmark import main

if __name__ == "__main__":
    main()
