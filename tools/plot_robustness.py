"""Plot AP against rain severity; --help says how."""

from derain_command import run

if __name__ == "__main__":
    run("plot_robustness")
