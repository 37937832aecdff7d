"""The one place that names the version; importable without torch."""

__version__ = "0.1.0"
