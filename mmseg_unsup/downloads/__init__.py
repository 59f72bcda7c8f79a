"""Published data sets and weights: where they are, and how they get to where the configs look for them."""
