"""Convert a checkpoint of SPDNet's authors; --help says how."""

from derain_plugin.cli.convert_spdnet import main

if __name__ == "__main__":
    main()
