"""The command lines behind ``tools/``; each is a ``main(arguments)``."""
