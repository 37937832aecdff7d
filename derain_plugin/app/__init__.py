"""A page to try vanilla and derained detectors on."""
