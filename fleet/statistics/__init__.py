"""Statistics: counts, coverage and fairness figures by area, scheme, channel, age and day."""
