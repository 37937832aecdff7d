"""Serve a page to try detectors in rain on; --help says how."""

from derain_command import run

if __name__ == "__main__":
    run("app")
