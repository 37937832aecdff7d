"""Evaluate a detector on clean and rainy images; --help says how."""

from derain_command import run

if __name__ == "__main__":
    run("test")
