"""The label of the method that every other method is compared with: corpus search."""

BASELINE = "crp"
