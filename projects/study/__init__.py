"""The study of whether de-raining beats fine-tuning, with its demo, its data and its results."""
