"""Show the whole story on embedded data; --help says how."""

from derain_plugin.cli.demo import main

if __name__ == "__main__":
    main()
