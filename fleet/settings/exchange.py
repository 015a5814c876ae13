"""Data of other bodies, and counts for them."""

from __future__ import annotations

from pydantic import Field

from fleet.settings.part import Part


class ExchangeSettings(Part):
    """Feeds of life events from other bodies."""

    unknown_days: int = Field(default=400, ge=30, le=3650)
    """So long a row about somebody who is not known is kept, as a keyed token without a name; who is imported meanwhile meets it. A
    year and a month: lists of people are renewed once a year."""
    form_days: int = Field(default=49, ge=1, le=365)
    """So many days before the due day somebody abroad needs the form for people abroad; the forms of R2-13 had from 1 November to 20
    December."""


class StatisticsSettings(Part):
    """Counts and figures of fairness."""

    min_cell: int = Field(default=10, ge=3, le=1000)
    """A rate over fewer sessions is not shown by itself but merged or left out: one could tell persons from it, and it says little."""
    snapshot_days: int = Field(default=400, ge=2, le=3650)
    """So long nightly snapshots are kept: a year and a month, to compare a month with that of the year before."""
