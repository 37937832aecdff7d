"""Run the study of whether de-raining helps; --help says how."""

from derain_plugin.cli.study import main

if __name__ == "__main__":
    main()
