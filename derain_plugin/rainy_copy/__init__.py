"""A rainy copy of an image folder on disk: same file names, rain of the same seeds."""

from derain_plugin.rainy_copy.make_copy import CopyReport, make_rainy_copy
from derain_plugin.rainy_copy.recipe import Recipe
from derain_plugin.rainy_copy.verify_copy import Verdict, verify_copy

__all__ = ["CopyReport", "Recipe", "Verdict", "make_rainy_copy", "verify_copy"]
