"""Evidence of liveness, one module for each kind that looks at frames."""
