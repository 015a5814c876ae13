"""Whoever works in one area cannot see or guess anybody outside it: what lies outside is answered as what does not exist.

Somebody with every role in one city of the made-up agency asks every route for things of other counties and for things that are not
there, and gets the same bytes; then the other counties grow, and every page that lists, counts, finds or exports says what it said before.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, text

from fleet.accounts import registry
from fleet.accounts.roles import FLEET_WIDE_ROLES, Role
from fleet.exchange.resolving import open_contradictions

pytestmark = pytest.mark.integration
TABLE = Path(__file__).with_name("routes.csv")
OF_NO_AREA = frozenset({"{pack_id}", "{version}", "{ending}", "{name}", "{digest}", "{token}", "{webhook_id}"})
"""What stands in addresses and belongs to the fleet as a whole."""
ROLES = tuple(role for role in Role if role not in FLEET_WIDE_ROLES)
FIXED = {"{action}": "restore", "{number}": "1", "{file}": "1", "{role}": "with_newspaper"}
FILLED = {
    **dict.fromkeys(
        ("reason", "why", "note", "what", "who", "worker", "witness", "proof", "compared_proof"), "because"
    ),
    **dict.fromkeys(("approval_reason", "withdrawal_reason", "restoration_reason", "freeze_reason"), "because"),
    **dict.fromkeys(("since", "reported_on", "day", "seen_on", "due_day", "verified_on"), "2026-11-19"),
    "version": "0",
    "kind": "death",
    "source": "family",
    "step": "notice",
    "verdict": "different",
    "keep": "report",
    "outcome": "reached",
    "way": "call",
    "name": "某人",
    "role": "viewer",
    "format": "csv",
    "hours": "24",
    "effect": "pause",
    "from_month": "2026-12",
    "paid_month": "2026-12",
    "because": "certified",
    "area": "east",
}
"""A form as it may be sent to whatever route: what a route does not know it does not read."""


def routes() -> list[tuple[str, str]]:
    """Every route that somebody with a role in an area may ask, by method and path."""
    with TABLE.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    return [
        (row["method"], row["path"])
        for row in rows
        if any(row[role] == "yes" for role in ROLES) or row["viewer"] == "any"
    ]


def names_in(path: str) -> list[str]:
    return re.findall(r"\{[^}]*\}", path)


class Things:
    """One of everything: of the visitor's city, of another one, and ids that nobody has."""

    def __init__(self, agency: Any, city: str) -> None:
        self.agency = agency
        self.city = city

    def rows(self, statement: str, **values: object) -> list[Any]:
        return list(self.agency.rows(statement, city=f"{self.city}%", **values))

    def found(self, *, inside: bool) -> dict[str, str]:
        """Return ids by their place in addresses."""
        where = "" if inside else "NOT"
        people = (
            "SELECT subject_id FROM subjects s WHERE"
            f" {where} EXISTS (SELECT 1 FROM subject_areas a WHERE a.subject_id = s.subject_id AND a.area LIKE :city)"
        )
        ids = {
            "{record_id}": f"min(record_id) FROM records WHERE subject_id IN ({people}) AND outcome = 'certified'",
            "{event_id}": f"min(event_id) FROM life_events WHERE subject_id IN ({people}) AND withdrawn_at IS NULL",
            "{case_id}": f"min(case_id) FROM cases WHERE subject_id IN ({people}) AND state = 'in_review'",
            "{hit_id}": (
                f"min(hit_id) FROM duplicate_hits WHERE first_subject IN ({people}) AND second_subject IN ({people})"
            ),
            "{terminal_id}": f"min(terminal_id) FROM terminals WHERE area {where} LIKE :city AND retired_at IS NULL",
            "{code}": f"min(code) FROM areas WHERE code {where} LIKE :city AND level = 4",
            "{list_id}": f"min(list_id) FROM unit_list_members WHERE subject_id IN ({people})",
            "{delivery_id}": f"min(delivery_id) FROM feed_deliveries WHERE area <> '' AND area {where} LIKE :city",
        }
        found = {name: self.rows(f"SELECT {rest}")[0][0] for name, rest in ids.items()}
        found = {name: str(value) for name, value in found.items() if value is not None}
        stopped = f"SELECT subject_id FROM benefit_files WHERE subject_id IN ({people}) ORDER BY steps DESC, 1 LIMIT 1"
        found["{subject_id}"] = str(self.rows(stopped)[0][0])
        return found

    def with_its_person(self, name: str, value: str) -> str:
        """Return whose record or report it is."""
        table = {"{record_id}": "records", "{event_id}": "life_events"}[name]
        return str(self.rows(f"SELECT subject_id FROM {table} WHERE {name[1:-1]} = :id", id=value)[0][0])

    def outside(self) -> dict[str, str]:
        """Return ids of things outside the city, those of other accounts among them."""
        found = self.found(inside=False)
        with self.agency.database.begin() as connection:
            account = registry.find(connection, self.agency.keys.cipher, "Shen Yulan")
            everything = open_contradictions(connection)
        inside = {row[0] for row in self.rows("SELECT subject_id FROM subject_areas WHERE area LIKE :city")}
        found["{contradiction_id}"] = next(
            each.contradiction_id for each in everything if each.subject_id not in inside and each.kind != "zero_report"
        )
        session = self.rows("SELECT min(session_id) FROM account_sessions WHERE account_id = :id", id=account)[0][0]
        found |= {
            "{account_id}": account,
            "{session_id}": str(session),
            "{passkey_id}": "1" * 32,
            "{claim_id}": self.rows("SELECT min(claim_id) FROM provisioning_claims WHERE area NOT LIKE :city")[0][0],
            "{run_id}": self.rows("SELECT min(run_id) FROM page_runs WHERE kind = 'photos'")[0][0],
            "{change_id}": self.rows("SELECT min(change_id) FROM account_changes")[0][0],
        }
        return found

    def told(self, subject_id: str) -> list[str]:
        """Return the name and the number of somebody."""
        ((name, number),) = self.rows(
            "SELECT name_sealed, document_sealed FROM subjects WHERE subject_id = :id", id=subject_id
        )
        decrypt = self.agency.keys.cipher.decrypt
        document = decrypt(number, subject_id=subject_id, field_name="document")
        return [decrypt(name, subject_id=subject_id, field_name="name"), document.rpartition(":")[2]]


def nobodys(value: str) -> str:
    """Return an id of the same form that nobody has."""
    return (
        value.translate(str.maketrans("0123456789abcdef", "98765432103bcdea"[::-1]))
        if len(value) > 12
        else "9" * len(value)
    )


@pytest.fixture(scope="module")
def office(module_agency: Any) -> Any:
    """The made-up agency in place of an empty fleet."""
    return module_agency


@pytest.fixture(scope="module")
def web(module_web: httpx.Client) -> httpx.Client:
    """Its console."""
    return module_web


@pytest.fixture(scope="module")
def things(office: Any) -> Things:
    """One of everything, for somebody in a city where benefits are stopped and no list was handed in."""
    found = office.rows(
        "SELECT a.code FROM areas a WHERE a.level = 2 AND EXISTS (SELECT 1 FROM benefit_files f JOIN subjects s USING (subject_id)"
        " WHERE s.area LIKE a.code || '%') AND NOT EXISTS (SELECT 1 FROM unit_list_members m JOIN subjects s USING (subject_id)"
        " WHERE s.area LIKE a.code || '%') ORDER BY a.code LIMIT 1"
    )
    return Things(office, found[0][0])


@pytest.fixture
def visitor(sign_in: Any, things: Things) -> Any:
    """Somebody with every role in that city."""
    return sign_in(*ROLES, area=things.city)


def asked(visitor: Any, method: str, address: str, form: Mapping[str, str]) -> httpx.Response:
    answer = visitor.get(address) if method == "GET" else visitor.send_form(address, dict(form))
    assert answer.status_code < 500, (method, address)
    return answer


def bare(answer: httpx.Response, ids: Mapping[str, str]) -> tuple[int, str, str]:
    """Return an answer without the ids that were asked for, which addresses in it repeat."""
    body, place = answer.text, answer.headers.get("location", "")
    for name, value in sorted(ids.items(), key=lambda each: -len(each[1])):
        # Short ids are numbers, of which a page has others.
        pattern = re.escape(value) if len(value) > 8 else rf"(?<=[/=]){re.escape(value)}(?![0-9a-z])"
        body, place = (re.sub(pattern, name, each) for each in (body, place))
    return answer.status_code, place, body


def differences(one: str, other: str) -> list[str]:
    """Return the first lines in which two pages differ, as far as somebody can read them."""
    lines = difflib.unified_diff(one.splitlines(), other.splitlines(), n=0, lineterm="")
    return [line[:300] for line in list(lines)[3:9]]


def asks(things: Things) -> Iterator[tuple[str, str, dict[str, str], list[str]]]:
    """Give every route with an id of an area's thing: method, path, what is put in its places, and which of it lies outside."""
    outside, inside = things.outside(), things.found(inside=True)
    missing = set()
    for method, path in routes():
        names = [name for name in names_in(path) if name not in FIXED]
        if not names or set(names) & OF_NO_AREA:
            continue
        ids = {name: outside[name] for name in names if name in outside}
        missing |= set(names) - set(ids)
        if missing:
            continue
        if names[0] == "{subject_id}" and len(names) == 2:
            yield method, path, ids | {names[0]: things.with_its_person(names[1], ids[names[1]])}, names
            yield method, path, ids | {names[0]: inside[names[0]]}, names[1:]
        else:
            yield method, path, ids, names
    assert not missing, f"nothing outside is an example of {missing}; add one to demo.agency"


ELSEWHERE = (
    ("GET", "/cases/new?person={subject_id}"),
    ("GET", "/stops/new?subject_id={subject_id}&scheme=enterprise_pension"),
    *(("GET", f"{page}?area={{code}}") for page in ("/", "/people", "/terminals", "/cases", "/figures")),
    *(("GET", f"{page}?area={{code}}") for page in ("/figures/fairness", "/figures/export/csv", "/overview/live")),
    ("GET", "/people/areas?area_typed={code}"),
    ("GET", "/rules/calendar?area={code}"),
    ("GET", "/cases/next?after={case_id}"),
)
"""Ids that stand elsewhere in an address."""


def test_nobody_can_tell_what_lies_outside_their_area_from_what_does_not_exist(visitor: Any, things: Things) -> None:
    wrong, count = [], 0
    secrets = things.told(things.outside()["{subject_id}"])
    every = [*asks(things)]
    outside = things.outside()
    every += [(method, path, {n: outside[n] for n in names_in(path)}, names_in(path)) for method, path in ELSEWHERE]
    for method, path, ids, outer in every:
        unknown = ids | {name: nobodys(ids[name]) for name in outer}
        for form in ({}, FILLED) if method == "POST" else ({},):
            answers = []
            for chosen in (ids, unknown):
                address = path
                for name, value in {**FIXED, **chosen}.items():
                    address = address.replace(name, value)
                answers.append(bare(asked(visitor, method, address, form), chosen))
            count += 1
            if answers[0] != answers[1]:
                told = differences(answers[0][2], answers[1][2])
                wrong.append(f"{method} {path}: {answers[0][:2]}, {answers[1][:2]}: {told}")
            wrong += [f"{method} {path}: tells of {ids}" for each in secrets if each in answers[0][2]]
    assert count > 100
    assert not wrong, "\n".join(wrong)


CLONED = {
    "subjects": "subject_id IN (SELECT subject_id FROM outsiders)",
    **dict.fromkeys(
        (
            *(
                "acts",
                "benefit_events",
                "benefit_files",
                "benefits",
                "cards",
                "cases",
                "consents",
                "contacts",
                "i_am_here",
            ),
            *("life_events", "obligations", "partner_certifications", "references_", "reminder_occasions", "reminders"),
            *("special_persons", "statuses", "subject_areas", "unit_list_members", "withdrawals", "duplicate_searched"),
            *("feed_rows", "open_contradictions"),
        ),
        "subject_id IN (SELECT subject_id FROM outsiders)",
    ),
    **dict.fromkeys(
        ("case_events", "case_files"),
        "case_id IN (SELECT case_id FROM cases JOIN outsiders USING (subject_id))",
    ),
    "reminder_deliveries": "reminder_id IN (SELECT reminder_id FROM reminders JOIN outsiders USING (subject_id))",
    "duplicate_hits": (
        "first_subject IN (SELECT subject_id FROM outsiders) AND second_subject IN (SELECT subject_id FROM outsiders)"
    ),
    "unit_lists": "list_id IN (SELECT list_id FROM unit_list_members JOIN outsiders USING (subject_id))",
    **dict.fromkeys(
        (
            *(
                "terminals",
                "terminal_areas",
                "terminal_alarms",
                "terminal_changes",
                "terminal_commands",
                "terminal_commissionings",
            ),
            *("terminal_days", "terminal_events", "terminal_health", "attachments", "certificates"),
            *("decommission_proofs", "held_messages"),
            *("desired_states", "rollout_members"),
        ),
        "terminal_id IN (SELECT terminal_id FROM strange)",
    ),
    "provisioning_claims": "area NOT LIKE :city",
    **dict.fromkeys(
        ("records", "case_records"),
        "terminal_id IN (SELECT terminal_id FROM strange) AND subject_id IN (SELECT subject_id FROM outsiders)",
    ),
    "links": "terminal_id IN (SELECT terminal_id FROM strange)",
    "quarantine": "terminal_id IN (SELECT terminal_id FROM strange)",
    "feed_deliveries": "area <> '' AND area NOT LIKE :city",
    "statistics_snapshot_rows": "area NOT LIKE :city",
    "areas": "code NOT LIKE :city AND level > 2",
}
"""Which rows of each table are of the other cities; each is put down once more under new ids."""
RENAMED = frozenset(
    {
        *(
            "subject_id",
            "claim_token",
            "claim_id",
            "act_id",
            "case_id",
            "record_id",
            "event_id",
            "stop_id",
            "reminder_id",
            "card_id",
            "contradiction_id",
        ),
        *(
            "message_id",
            "hit_id",
            "first_subject",
            "second_subject",
            "consent_id",
            "withdrawal_id",
            "file_id",
            "list_id",
        ),
        *("reference_id", "pass_id", "source_id", "last_act", "last_record", "last_pass_record", "sha256", "row_key"),
        *("session_id", "certification_id", "change_id", "command_id", "terminal_id"),
    }
)
NUMBERED = {
    "cases": ("serial",),
    "feed_deliveries": ("delivery_id", "number"),
    "held_messages": ("held_id",),
    "quarantine": ("quarantine_id",),
}
"""Numbers that are given anew."""


def let_the_others_grow(connection: Connection, city: str) -> dict[str, int]:
    """Put everything of the other cities down once more, under new ids; return how many rows there are more, by table."""
    values = {"city": f"{city}%"}
    # Neither keys nor triggers are asked: what is copied is in order, and what is only ever added to is added to.
    connection.execute(text("SET LOCAL session_replication_role = replica"))
    connection.execute(
        text(
            "CREATE TEMPORARY TABLE outsiders ON COMMIT DROP AS SELECT subject_id FROM subjects s WHERE NOT EXISTS"
            " (SELECT 1 FROM subject_areas a WHERE a.subject_id = s.subject_id AND a.area LIKE :city)"
        ),
        values,
    )
    connection.execute(
        text(
            "CREATE TEMPORARY TABLE strange ON COMMIT DROP AS SELECT terminal_id FROM terminals t WHERE area NOT LIKE :city"
            " AND NOT EXISTS (SELECT 1 FROM terminal_areas a WHERE a.terminal_id = t.terminal_id AND a.area LIKE :city)"
        ),
        values,
    )
    columns: dict[str, list[str]] = {}
    for table, column in connection.execute(
        text(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' AND is_generated = 'NEVER'"
            " ORDER BY table_name, ordinal_position"
        )
    ):
        columns.setdefault(table, []).append(column)
    grown = {}
    # What the conditions look into comes last: the rows that are added are outside, too.
    for table in sorted(CLONED, key=lambda name: name in ("cases", "reminders", "unit_list_members")):
        chosen = [_copied(table, column) for column in columns[table]]
        names = ", ".join(f'"{column}"' for column in columns[table])
        done = connection.execute(
            text(
                f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE SELECT {', '.join(chosen)} FROM {table}"
                f" WHERE {CLONED[table]}"
            ),
            values if ":city" in CLONED[table] else {},
        )
        grown[table] = done.rowcount
    return grown


def _copied(table: str, column: str) -> str:
    if column in NUMBERED.get(table, ()):
        return f'"{column}" + 100000'
    if table == "areas" and column == "code":
        return "'9' || code"
    if table == "statistics_snapshot_rows" and column == "people":
        return "people + 7"
    if column == "terminal_id":
        return "'z' || terminal_id"
    # The order of two ids stays as it is.
    return f"'c0' || \"{column}\"" if column in RENAMED else f'"{column}"'


def pages_of(visitor: Any, things: Things) -> dict[str, tuple[int, str, bytes]]:
    """Ask everything that lists, counts, finds or exports something, and return the answers."""
    inside = things.found(inside=True)
    found = {}
    for method, path in routes():
        if method != "GET" or path in ("/account", "/set-up") or set(names_in(path)) - set(inside) - {"{ending}"}:
            continue
        for ending in ("csv", "xlsx") if "{ending}" in path else ("",):
            address = path.replace("{ending}", ending)
            for name in names_in(address):
                address = address.replace(name, inside[name])
            found[address] = visitor.get(address)
    for address in QUERIES:
        found[address] = visitor.get(address.format(area=things.city, above=things.city[:2]))
    for name, typed in searches(things).items():
        found[name] = visitor.send_form("/people", {"typed": typed}, follow_redirects=True)
    return {
        address: (answer.status_code, answer.headers.get("location", ""), _unpacked(answer))
        for address, answer in found.items()
    }


def _unpacked(answer: httpx.Response) -> bytes:
    if not answer.content.startswith(b"PK"):
        # What was typed is sealed anew each time it is sent.
        # And a form that may be sent once has an id of its own.
        page = re.sub(rb"search=[\w-]+", b"search=", answer.content)
        return re.sub(rb'name="(?:run_id|search_id|once)" value="[0-9a-f]+"', b"", page)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as book:
        # The workbook's properties say when it was written.
        return b"".join(book.read(name) for name in sorted(book.namelist()) if not name.startswith("docProps"))


QUERIES = (
    *(f"/people?state={state}" for state in ("certified", "due", "expiring", "overdue", "never_certified")),
    *(f"/people?area={{area}}&state={state}" for state in ("overdue", "stopped")),
    *(
        "/people?area={above}",
        "/?area={above}",
        "/?area={area}",
        "/figures?area={above}",
        "/figures?level=2",
        "/figures?level=5",
    ),
    *(
        "/terminals?state=silent",
        "/terminals?area={above}",
        "/terminals?part=t-0",
        "/cases?clock=late",
        "/cases?area={above}",
    ),
    *(
        "/cases?state=in_review",
        "/cases/alarms?days=3650",
        "/stops?stage=in_force",
        "/stops?stage=restored",
        "/stops?stage=frozen",
    ),
    *("/duplicates?state=different", "/duplicates?state=unclear", "/duplicates?state=open&kind=same_person"),
    *("/exchange/feeds/deaths", "/exchange/feeds/village_deaths", "/exchange/feeds/travel", "/exchange/silent"),
    *(
        "/reminders/failed?step=call",
        "/reminders/lists?code={area}",
        "/reminders/preview?kind=due",
        "/accounts?role=viewer",
    ),
    *(
        "/rules/calendar?month=2026-12",
        "/figures/fairness?level=2",
        "/overview/areas/{area}",
        "/people/areas?area_typed={above}",
    ),
)


def searches(things: Things) -> dict[str, str]:
    """What is typed to find somebody: names and numbers of people inside and outside."""
    typed = {}
    for where, is_inside in (("inside", True), ("outside", False)):
        name, number = things.told(things.found(inside=is_inside)["{subject_id}"])
        typed |= {f"name {where}": name, f"number {where}": number, f"family name {where}": name[:1]}
    return typed


def test_what_happens_outside_changes_nothing_that_somebody_in_an_area_sees(visitor: Any, things: Things) -> None:
    before = pages_of(visitor, things)
    assert sum(status == 200 for status, _, _ in before.values()) > 0.9 * len(before)
    with things.agency.database.begin() as connection:
        grown = let_the_others_grow(connection, things.city)
    assert all(
        grown[table] for table in ("subjects", "cases", "benefit_files", "terminals", "records", "duplicate_hits")
    ), grown
    after = pages_of(visitor, things)
    wrong = [
        f"{address}: {differences(before[address][2].decode(errors='replace'), after[address][2].decode(errors='replace'))}"
        for address in before
        if before[address] != after[address]
    ]
    with things.agency.database.begin() as connection:
        # What was put down by hand follows from nothing: whoever looks after a test whether it does is not to look here.
        connection.execute(text("DROP TABLE open_contradictions"))
    assert not wrong, "\n".join(wrong)
