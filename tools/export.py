"""Write a detector to a file for other runtimes; --help says how."""

from derain_plugin.cli.export import main

if __name__ == "__main__":
    main()
