"""A made population under the rules of all regions, with invariants that must hold."""
