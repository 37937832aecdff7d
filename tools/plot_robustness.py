"""Plot AP against rain severity; --help says how."""

from derain_plugin.cli.plot_robustness import main

if __name__ == "__main__":
    main()
