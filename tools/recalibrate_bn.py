"""Re-estimate BatchNorm statistics on a config's training data; --help says how."""

from derain_plugin.cli.recalibrate_bn import main

if __name__ == "__main__":
    main()
