"""Do what dataset_converters/convert_labels.py does, which was here."""

from derain_command import run

if __name__ == "__main__":
    run("convert_labels")
