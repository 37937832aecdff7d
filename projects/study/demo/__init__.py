"""The whole story on embedded data: train, adapt to rain, control, and one table."""
