"""Re-estimate BatchNorm statistics on a config's training data; --help says how."""

from derain_command import run

if __name__ == "__main__":
    run("recalibrate_bn")
