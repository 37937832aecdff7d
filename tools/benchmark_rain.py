"""Measure what rendering rain costs; --help says how."""

from derain_plugin.cli.benchmark_rain import main

if __name__ == "__main__":
    main()
