"""What de-raining costs beside the detector: time, memory, FLOPs, training throughput."""
