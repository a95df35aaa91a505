"""Optimization: the method protocol, the search loop, top-k, Pareto fronts and final re-scoring."""
