"""Write a detector to a file for other runtimes; --help says how."""

from derain_command import run

if __name__ == "__main__":
    run("export")
