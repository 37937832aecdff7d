"""What a training run consists of beside the model: hooks, optimizer wrappers, safe files."""
