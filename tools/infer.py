"""Show what a detector finds in images and videos; --help says how."""

from derain_command import run

if __name__ == "__main__":
    run("infer")
