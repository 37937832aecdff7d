"""Make the study's COCO-format data set; --help says how."""

from derain_plugin.cli.make_study_coco import main

if __name__ == "__main__":
    main()
