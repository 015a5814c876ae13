"""The pages: one module for each group, and all of them together."""

from __future__ import annotations

from fastapi import FastAPI

from fleet.web.arrivals import add_arrivals
from fleet.web.pages import (
    account,
    accounts,
    audit,
    cases,
    cases_case,
    cases_desk,
    cases_pictures,
    cases_special,
    cases_visits,
    duplicates,
    duplicates_searches,
    exchange,
    exchange_decisions,
    exchange_definitions,
    exchange_lists,
    exchange_partners,
    exchange_registers,
    figures,
    figures_calibrations,
    figures_fairness,
    figures_models,
    overview,
    people,
    people_details,
    people_import,
    people_person,
    people_reports,
    photos,
    photos_beside,
    privacy,
    reminders,
    reminders_contacts,
    rules,
    rules_calendar,
    rules_policy,
    rules_trials,
    sign_in,
    stops,
    terminals,
    terminals_changes,
    terminals_kept,
)

GROUPS = (
    sign_in,
    account,
    overview,
    people_import,
    photos,
    photos_beside,
    people,
    people_reports,
    people_details,
    people_person,
    cases,
    cases_desk,
    cases_pictures,
    cases_special,
    cases_visits,
    cases_case,
    terminals_kept,
    terminals,
    terminals_changes,
    stops,
    rules,
    rules_calendar,
    rules_policy,
    rules_trials,
    figures,
    figures_calibrations,
    figures_fairness,
    figures_models,
    duplicates_searches,
    duplicates,
    reminders,
    reminders_contacts,
    exchange,
    exchange_decisions,
    exchange_definitions,
    exchange_lists,
    exchange_partners,
    exchange_registers,
    audit,
    privacy,
    accounts,
)
"""Each has a `router`."""


def add_pages(app: FastAPI) -> None:
    """Add every page to the console."""
    for group in GROUPS:
        app.include_router(group.router)
    add_arrivals(app)
