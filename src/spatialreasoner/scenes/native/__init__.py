"""What error bars look for most, the neighbours of points, in C."""
