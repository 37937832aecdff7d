"""Compare saved predictions of several models; --help says how."""

from derain_plugin.cli.compare_results import main

if __name__ == "__main__":
    main()
