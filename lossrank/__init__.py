"""Find the mislabelled rows of a text-classification data set by model loss."""
