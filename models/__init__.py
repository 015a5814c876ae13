"""Networks, their manifests, and the tools that build and evaluate them."""
