"""Look at the rain at every severity; --help says how."""

from derain_command import run

if __name__ == "__main__":
    run("browse_rain")
