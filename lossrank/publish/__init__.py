"""A run's decisions to a corrected data set, and two runs held against each other."""
