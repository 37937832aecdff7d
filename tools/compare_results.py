"""Compare saved predictions of several models; --help says how."""

from derain_command import run

if __name__ == "__main__":
    run("compare_results")
