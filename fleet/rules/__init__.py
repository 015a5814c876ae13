"""Rule packs of the regions: published, approved, in force."""
