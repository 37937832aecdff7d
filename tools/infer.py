"""Show what a detector finds in images and videos; --help says how."""

from derain_plugin.cli.infer import main

if __name__ == "__main__":
    main()
