"""The tree of areas on a real database, and what it changes for people."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fleet.cli import app
from fleet.intake.areas import import_areas
from fleet.store import packs
from fleet.store.areas import Area
from protocol.shipped_packs import shipped_pack, shipped_text

pytestmark = pytest.mark.integration

TREE = [
    Area("130102", "1301", 3, "长安区"),
    Area("13", None, 1, "河北省"),
    Area("1301", "13", 2, "石家庄市"),
]


def test_r4_26_a_rule_of_a_city_holds_for_its_districts_once_the_tree_is_known(office: Any) -> None:
    office.import_people(1, area="130102")
    with office.database.begin() as connection:
        connection.exec_driver_sql("UPDATE benefits SET scheme = '机关事业养老保险', category = '退休'")
        pack = shipped_pack("SJZ-2017")
        packs.save_proposal(connection, pack, shipped_text("SJZ-2017"), "a" * 64, now=office.now)
        packs.put_in_force(connection, pack.pack_id, pack.version, b"signed", now=office.now)
    office.rebuild()
    assert [row.pack_id for row in office.rows("SELECT pack_id FROM obligations")] == ["SX-2018"]
    done = import_areas(office.database, office.keys, TREE, by="Li", now=office.now, zone=office.settings.zone())
    assert (done.new, done.changed, done.unchanged) == (3, 0, 0)
    assert [row.pack_id for row in office.rows("SELECT pack_id FROM obligations")] == ["SJZ-2017"]
    again = import_areas(office.database, office.keys, TREE, by="Li", now=office.now, zone=office.settings.zone())
    assert again.unchanged == 3


def test_areas_are_imported_and_listed_as_they_are_typed(make_data_dir: Callable[[], Path], database_url: str) -> None:
    folder = make_data_dir()
    (folder / "fleet.toml").write_text(f'fleet_id = "north"\ndata_dir = "data"\ndatabase = "{database_url}"\n')
    (folder / "areas.csv").write_text(
        "code,name,level,parent\n13,河北省,1,\n1301,石家庄市,2,13\n14,山西省,1,\n", encoding="utf-8"
    )
    (folder / "wrong.csv").write_text("code,name,level,parent\n1501,x,2,15\n", encoding="utf-8")
    here = Path.cwd()
    os.chdir(folder)
    try:
        run = CliRunner(env={"COLUMNS": "200"}).invoke
        assert run(app, ["init", "--identity", "identity.json"]).exit_code == 0
        done = run(app, ["areas", "import", "areas.csv", "--by", "Li", "--json"])
        assert json.loads(done.stdout) == {"new": 3, "changed": 0, "unchanged": 0}
        found = json.loads(run(app, ["areas", "list", "--below", "河北省", "--json"]).stdout)["areas"]
        assert [(row["code"], row["name"]) for row in found] == [("13", "河北省"), ("1301", "河北省/石家庄市")]
        assert "石家庄市" in run(app, ["areas", "list"]).stdout
        refused = run(app, ["areas", "import", "wrong.csv", "--by", "Li"])
        assert refused.exit_code == 1
        assert "line 2: no area has the code of its parent" in refused.stderr
        assert run(app, ["areas", "list", "--below", "nowhere"]).exit_code == 1
    finally:
        os.chdir(here)
