"""Schema versions, run by `lifecert-fleet migrate` and at every start of `serve`."""
