"""The whole story on embedded data: train, rain, de-rain, control, and one table."""
