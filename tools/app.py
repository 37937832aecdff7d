"""Serve a page to try detectors in rain on; --help says how."""

from derain_plugin.cli.app import main

if __name__ == "__main__":
    main()
