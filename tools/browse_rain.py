"""Look at the rain at every severity; --help says how."""

from derain_plugin.cli.browse_rain import main

if __name__ == "__main__":
    main()
