"""A made-up agency of many people and terminals, on which every page of the console has something true to show.

`demo.agency.build` makes it in any database, `python -m demo.agency` makes one and shows it, `demo.agency.copying` fills tables for it and
for the benchmarks. It is the same for the same seed and day, but for what hangs on keys: tokens, signatures, what is encrypted, and ids
that the fleet itself draws. Nobody in it exists.
"""
