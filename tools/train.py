"""Train a detector; --help says how."""

from derain_command import run

if __name__ == "__main__":
    run("train")
