"""Convert a checkpoint of SPDNet's authors; --help says how."""

from derain_command import run

if __name__ == "__main__":
    run("convert_spdnet")
