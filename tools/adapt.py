"""Make a detector see better in rain, from clear photographs without labels; --help says how."""

from derain_command import run

if __name__ == "__main__":
    run("adapt")
