"""A rainy copy of an image folder on disk: same file names, rain of the same seeds."""

from derain_plugin.rain.copies.make_copy import CopyReport, make_rainy_copy
from derain_plugin.rain.copies.recipe import Recipe
from derain_plugin.rain.copies.verify_copy import Verdict, verify_copy

__all__ = ["CopyReport", "Recipe", "Verdict", "make_rainy_copy", "verify_copy"]
