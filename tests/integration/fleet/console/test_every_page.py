"""Every page of the console by every role that may open it, in both languages, in a real browser, on the made-up agency.

`routes.csv` says which pages there are and who may open them; each is opened at an address of the agency. Every page is seen 1366 wide, and
by the first of its roles 390 wide, too, with everything on it unfolded.
"""

from __future__ import annotations

import csv
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fleet.accounts import registry
from fleet.accounts.roles import Grant, Role
from fleet.app import account_rules
from fleet.exchange.resolving import open_contradictions

pytestmark = [pytest.mark.integration, pytest.mark.browser]
TABLE = Path(__file__).with_name("routes.csv")
LANGUAGES = ("zh", "en")
WIDE, NARROW = {"width": 1366, "height": 768}, {"width": 390, "height": 844}
PARTS = frozenset({"/overview/live", "/people/areas"})
"""Pieces that a page asks for by itself; whoever opens the address of any other piece gets a page."""
LIVE = frozenset({"/rules/trials/{trial_id}/progress", "/runs/{run_id}/progress"})
"""Lead on to the page as soon as nothing is on its way any more."""
FILES = frozenset(
    {
        "/figures/export/{ending}",
        "/figures/fairness/export/{ending}",
        "/people/photos/{run_id}/report.csv",
        "/privacy/erasures/{erasure_id}",
        "/rules/packs/{pack_id}/{version}/text",
        "/rules/trials/{trial_id}/counts.csv",
    }
)
FORWARDING = frozenset(
    {
        *("/cases/next", "/set-up", "/sign-in", "/stops/{subject_id}/{action}", "/terminals/{terminal_id}/{action}"),
        # Of an export that nobody made here.
        "/audit/exports/{run_id}",
    }
)
"""Lead whoever is signed in and set up on to another page."""
OF_NOBODY = frozenset({"/sign-in", "/sign-in/link/{token}"})
OF_ONE_VISITOR = {
    "/people/import/{run_id}": "/people/import",
    "/reminders/contacts/{run_id}": "/reminders/contacts",
}
"""Of whoever sent the list, and where it is sent; somebody else's is as one that is not there."""
MAIN = "() => [innerWidth, document.querySelector('main').innerHTML.replace(/name=.form_token. value=.[^'\"]*/g, '')].join()"
"""What a page says, by which it is known again whoever opens it: its frame is held against everything on each role's other pages."""
UNFOLD = "() => document.querySelectorAll('main details').forEach((each) => { each.open = true; })"


def table() -> dict[str, frozenset[str]]:
    """Who may open what, by path."""
    with TABLE.open(encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["method"] == "GET"]
    return {row["path"]: frozenset(role for role in Role if row[role] in ("yes", "whole", "any")) for row in rows}


PAGES = {path: roles for path, roles in table().items() if path not in PARTS | LIVE | FILES | FORWARDING | OF_NOBODY}


@dataclass(frozen=True)
class Examples:
    """Addresses of the made-up agency, by the path of their route: the first is opened by every role, the rest by the first role."""

    agency: Any

    def of(self, path: str, role: Role) -> Sequence[str]:
        """Return the addresses of a route."""
        if "{" not in path:
            return [path]
        if path == "/runs/{run_id}/progress":
            # Each of whom it is for sees that of some kinds of work.
            run = self.agency.index.others["search" if role is Role.REVIEWER else "run"]
            return [f"/runs/{run}/progress"]
        found = self._known().get(path, [])
        assert found, f"{path}: nothing in the made-up agency is an example of it; add one to demo.agency"
        assert all("None" not in each and "//" not in each for each in found), (path, found)
        return found

    def _known(self) -> Mapping[str, Sequence[str]]:
        index = self.agency.index
        others, people = index.others, dict(index.people)
        first = people.pop("reported_dead")
        everybody = [first, *people.values()]
        terminals = [ids[0] for ids in index.terminals.values()]
        stops = ("pause_proposed", "notified", "approved_once", "paused", "end_proposed", "ended", "frozen", "restored")
        pack, trial = f"/rules/packs/{others['proposal']}", f"/rules/trials/{others['trial']}"
        one = f"/people/{first}"
        hits = [others[f"{each}_duplicate"] for each in ("open", "decided", "unclear")]
        return {
            "/audit/exports/{run_id}": [f"/audit/exports/{others['export']}"],
            "/runs/{run_id}": [f"/runs/{others['run']}"],
            "/accounts/{account_id}": [f"/accounts/{self.account('Xie Haiyun')}"],
            "/cases/{case_id}": [f"/cases/{each}" for each in self._cases()],
            "/duplicates/{hit_id}": [f"/duplicates/{each}" for each in hits],
            "/exchange/contradictions/{contradiction_id}": [
                f"/exchange/contradictions/{each}" for each in self._contradictions()
            ],
            "/exchange/deliveries/{delivery_id}": [
                f"/exchange/deliveries/{self._one('max(delivery_id) FROM feed_deliveries WHERE rows > 0')}"
            ],
            "/exchange/definitions/{name}": [f"/exchange/definitions/{others['feed']}"],
            "/duplicates/searches/{run_id}": [f"/duplicates/searches/{others['search']}"],
            **{
                f"/people/photos/{{run_id}}{each}": [f"/people/photos/{others['photo_run']}{each}"]
                for each in ("", "/report.csv")
            },
            "/people/photos/{run_id}/files/{file}": [f"/people/photos/{others['photo_run']}/files/1"],
            "/rules/policies/{proposal_id}": [f"/rules/policies/{others['policy']}"],
            "/exchange/feeds/{name}": [f"/exchange/feeds/{others['feed']}"],
            "/exchange/lists/{list_id}": [f"/exchange/lists/{others['list']}"],
            "/exchange/partners/{partner_id}": [f"/exchange/partners/{others['partner']}"],
            "/figures/export/{ending}": ["/figures/export/csv", "/figures/export/xlsx"],
            "/figures/fairness/export/{ending}": ["/figures/fairness/export/csv", "/figures/fairness/export/xlsx"],
            "/overview/areas/{code}": [f"/overview/areas/{others['area'][:4]}"],
            "/people/{subject_id}": [f"/people/{each}" for each in everybody],
            **{f"/people/{{subject_id}}/{each}": [f"{one}/{each}"] for each in ("report", "attempt", "details")},
            "/people/{subject_id}/here": [f"/people/{people['i_am_here']}/here"],
            "/people/{subject_id}/older": [f"{one}/older"],
            "/people/{subject_id}/records/{record_id}": [self._record()],
            "/people/{subject_id}/records/{record_id}/slip": [f"{self._record()}/slip"],
            "/people/{subject_id}/reports/{event_id}": [f"{one}/reports/{self._report(first)}"],
            "/privacy/erasures/{erasure_id}": [f"/privacy/erasures/{others['erasure']}"],
            "/rules/calibrations/{calibration_id}": [f"/rules/calibrations/{others['calibration']}"],
            **{f"/rules/packs/{{pack_id}}/{{version}}{each}": [f"{pack}{each}"] for each in ("", "/text", "/what-if")},
            "/rules/packs/{pack_id}/{version}/changes": [f"{pack}/changes?since=1"],
            **{f"/rules/trials/{{trial_id}}{each}": [f"{trial}{each}"] for each in ("", "/counts.csv", "/progress")},
            "/stops/{subject_id}": [self._benefit(people[each]) for each in stops if each in people],
            "/stops/{subject_id}/{action}": [f"/stops/{first}/restore"],
            "/terminals/{terminal_id}": [f"/terminals/{each}" for each in terminals],
            **{
                f"/terminals/{{terminal_id}}/{each}": [f"/terminals/{index.terminals['dull'][0]}/{each}"]
                for each in ("drift", "people")
            },
            **{
                f"/terminals/-/rollouts/{{rollout_id}}{each}": [f"/terminals/-/rollouts/{others['rollout']}{each}"]
                for each in ("", "/progress")
            },
            "/terminals/{terminal_id}/settings": [f"/terminals/{index.terminals['well'][-1]}/settings"],
            "/terminals/{terminal_id}/log/{number}": [f"/terminals/{index.terminals['old_outbox'][0]}/log/1"],
            "/terminals/{terminal_id}/{action}": [f"/terminals/{index.terminals['dull'][0]}/move"],
        }

    def _one(self, rest: str, **values: object) -> Any:
        return self.agency.rows(f"SELECT {rest}", **values)[0][0]

    def account(self, name: str) -> str:
        """Return the id of somebody's account."""
        with self.agency.database.begin() as connection:
            return registry.find(connection, self.agency.keys.cipher, name)

    def _contradictions(self) -> list[str]:
        with self.agency.database.begin() as connection:
            found = open_contradictions(connection)
        return list({each.kind: each.contradiction_id for each in found}.values())

    def _cases(self) -> list[str]:
        """One of each kind, and those that have something that others have not."""
        cases = self.agency.index.cases
        kinds = {name.partition(".")[0]: case_id for name, case_id in cases.items()}
        return list(dict.fromkeys(kinds.values()))

    def _record(self) -> str:
        record = self.agency.index.others["record"]
        subject = self._one("subject_id FROM records WHERE record_id = :id", id=record)
        return f"/people/{subject}/records/{record}"

    def _benefit(self, subject_id: str) -> str:
        found = self._one("scheme FROM benefit_files WHERE subject_id = :id ORDER BY steps DESC LIMIT 1", id=subject_id)
        return f"/stops/{subject_id}?scheme={found}"

    def _report(self, subject_id: str) -> str:
        return str(self._one("min(event_id) FROM life_events WHERE subject_id = :id", id=subject_id))


@pytest.fixture(scope="module")
def office(module_agency: Any) -> Any:
    """The made-up agency in place of an empty fleet; tests here only look at it."""
    return module_agency


@pytest.fixture(scope="module")
def web(module_web: Any) -> Any:
    """Its console."""
    return module_web


@pytest.fixture(scope="module")
def examples(office: Any) -> Examples:
    return Examples(office)


@dataclass
class Walk:
    """Somebody's way through pages: what is wrong with each is kept, and told at the end."""

    seen: Any
    wrong: list[str]
    known: set[str] = field(default_factory=set)
    """What others saw in the same language."""
    pages: int = 0

    def send_a_list(self, path: str) -> None:
        """Send a list that cannot be taken, and look at the page that says so; nobody else has that page."""
        self.seen.go(OF_ONE_VISITOR[path])
        wrong = {"name": "people.csv", "mimeType": "text/csv", "buffer": "证件号码,姓名\n1,甲".encode()}
        self.seen.page.set_input_files("input[type=file]", wrong)
        self.seen.page.locator("main form button").first.click()
        self.seen.page.wait_for_selector("main [role=alert]")
        self.pages += 1
        self._note(path, [*self.seen.serious(), *self.seen.too_wide()])

    def look(self, address: str, *, also_narrow: bool, path: str = "") -> None:
        """Open a page, unfold it, and hold it against everything."""
        self.pages += 1
        self.seen.go(address)
        self._note(address, [] if self.seen.status == 200 else [f"status {self.seen.status}"])
        if not self.seen.page.url.endswith(address):
            self._note(address, [f"leads to {self.seen.page.url}"])
        self.seen.page.evaluate(UNFOLD)
        main = self.seen.page.evaluate(MAIN)
        self._note(address, [*([] if main in self.known else self.seen.serious()), *self.seen.too_wide()])
        self.known.add(main)
        if also_narrow:
            self.seen.page.set_viewport_size(NARROW)
            self._note(f"{address} narrow", [*self.seen.serious(), *self.seen.too_wide()])
            self.seen.page.set_viewport_size(WIDE)
        self._note(address, self.seen.complaints)
        self.seen.complaints.clear()

    def _note(self, address: str, faults: Sequence[str]) -> None:
        self.wrong += [f"{address}: {fault}" for fault in faults]


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    return {language: set() for language in LANGUAGES}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("role", list(Role))
def test_every_page_by_every_role(
    examples: Examples, browse: Callable[..., Any], known: dict[str, set[str]], role: Role, language: str
) -> None:
    walk = Walk(browse(role, name=f"{role} {language} {secrets.token_hex(2)}", language=language), [], known[language])
    for path, roles in PAGES.items():
        if role not in roles:
            continue
        is_first = role == next(each for each in Role if each in roles)
        if path in OF_ONE_VISITOR:
            walk.send_a_list(path)
            continue
        for address in examples.of(path, role)[: None if is_first else 1]:
            walk.look(address, also_narrow=is_first)
    assert walk.pages > 20
    assert not walk.wrong, "\n".join(walk.wrong)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_by_nobody_and_by_somebody_who_has_just_come(
    office: Any, browse: Callable[..., Any], language: str
) -> None:
    walk = Walk(browse(language=language), [])
    for address in ("/sign-in", f"/sign-in/link/{secrets.token_urlsafe(32)}"):
        walk.look(address, also_narrow=True)
    database, cipher = office.database, office.keys.cipher
    with database.begin() as connection:
        actor = registry.at_keyboard(connection, cipher, "Zhao Min")
    grant, name = Grant(Role.VIEWER, None), f"newcomer {language}"
    account_id = registry.add_account(database, cipher, actor, name=name, grant=grant, now=office.now)
    link = registry.make_link(database, cipher, actor, account_id, rules=account_rules(office.settings), now=office.now)
    walk.seen.go("/sign-in/link/" + link.rpartition("/")[2])
    walk.seen.page.locator("main button").click()
    walk.seen.page.wait_for_url("**/set-up*")
    walk.look("/set-up", also_narrow=True)
    assert not walk.wrong, "\n".join(walk.wrong)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("role", list(Role))
def test_every_part_and_every_file_by_every_role(
    examples: Examples, sign_in: Callable[..., Any], role: Role, language: str
) -> None:
    client = sign_in(role, name=f"{role} {language} {secrets.token_hex(2)}", language=language)
    wrong = []
    for path, roles in table().items():
        if role not in roles or path in PAGES or path in OF_NOBODY or path in OF_ONE_VISITOR:
            continue
        for address in examples.of(path, role):
            answer = client.get(address)
            kind = answer.headers.get("content-type", "")
            is_right = {
                path in FORWARDING: answer.status_code == 303,
                path in LIVE: answer.headers.get("hx-redirect", "").rpartition("/")[2] in address,
                path in PARTS: "text/html" in kind and "<html" not in answer.text,
                path in FILES: answer.headers.get("content-disposition", "").startswith("attachment"),
            }[True]
            if not is_right:
                wrong.append(f"{address}: {answer.status_code} {kind}")
    assert not wrong, "\n".join(wrong)
