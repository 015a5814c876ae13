"""The embedded server, migrations and transactions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.exc import DataError, IntegrityError

from fleet.errors import DatabaseUnavailable
from fleet.store import database as database_store
from fleet.store import migrations
from fleet.store.database import Database
from fleet.store.embedded import EmbeddedDatabase
from fleet.store.migrate import migrate

pytestmark = pytest.mark.integration

VERSIONS = Path(migrations.__file__).parent / "versions"


def downgrade(database: Database, *, to: str) -> None:
    with database.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(VERSIONS.parent))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.downgrade(config, to)


def test_a_second_user_joins_and_the_last_one_stops_the_server(make_data_dir: Callable[[], Path]) -> None:
    folder = make_data_dir()
    first, second = EmbeddedDatabase(folder), EmbeddedDatabase(folder)
    url = first.start()
    assert second.start() == url
    first.stop()
    first.stop()
    database = Database(url)
    database.check()
    second.stop()
    with pytest.raises(DatabaseUnavailable):
        database.check()
    database.close()


def test_after_kill_9_of_the_user_the_next_one_takes_over_and_can_stop_it(make_data_dir: Callable[[], Path]) -> None:
    folder = make_data_dir()
    program = (
        "import sys; from pathlib import Path; from fleet.store.embedded import EmbeddedDatabase;"
        "EmbeddedDatabase(Path(sys.argv[1])).start(); print('up', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    server = EmbeddedDatabase(folder)
    database = Database(server.start())
    database.check()
    server.stop()
    with pytest.raises(DatabaseUnavailable):
        database.check()
    database.close()


def test_after_kill_9_of_the_server_itself_committed_rows_are_there(make_data_dir: Callable[[], Path]) -> None:
    folder = make_data_dir()
    first = EmbeddedDatabase(folder)
    database = Database(first.start())
    with database.begin() as connection:
        connection.execute(text("CREATE TABLE kept (n int)"))
        connection.execute(text("INSERT INTO kept VALUES (1)"))
    pid = int((folder / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, signal.SIGKILL)
    first.stop()
    second = EmbeddedDatabase(folder)
    again = Database(second.start())
    with again.begin() as connection:
        assert connection.execute(text("SELECT n FROM kept")).scalar_one() == 1
    database.close()
    again.close()
    second.stop()


def test_a_folder_that_is_no_database_is_reported(make_data_dir: Callable[[], Path]) -> None:
    folder = make_data_dir()
    (folder / "postgres").mkdir()
    (folder / "postgres" / "PG_VERSION").write_text("18\n")
    with pytest.raises(DatabaseUnavailable, match="does not start"):
        EmbeddedDatabase(folder).start()


def test_migrations_can_be_run_again(database: Database) -> None:
    migrate(database)
    with database.begin() as connection:
        version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    assert version == sorted(path.name for path in VERSIONS.glob("v0*.py"))[-1][1:5]


def test_a_database_of_the_first_version_is_brought_to_the_newest_with_what_it_holds(database: Database) -> None:
    downgrade(database, to="0001")
    with database.begin() as connection:
        connection.execute(text("INSERT INTO policies VALUES ('kept', '{}', 'x', 'x', now(), now())"))
        connection.execute(
            text(
                "INSERT INTO terminals (terminal_id, area, signing_key, sealing_key, registered_at)"
                " VALUES ('t-1', 'east', '{}', '{}', now())"
            )
        )
        connection.execute(
            text(
                "INSERT INTO records (record_id, sha256, terminal_id, counter, chain, session_id, claim_token, outcome, payload,"
                " envelope, received_at, latest, event_at, flags) VALUES ('r', 'digest', 't-1', 1, 'linked', 's', 'token',"
                " 'certified', '{}', 'envelope', now(), now(), now(), '[]')"
            )
        )
    migrate(database)
    with database.begin() as connection:
        assert connection.execute(text("SELECT policy_version FROM policies")).scalar_one() == "kept"
        assert connection.execute(text("SELECT count(*) FROM calibrations")).scalar_one() == 0
        link = connection.execute(
            text("SELECT l.sha256, l.chain, l.kind, l.envelope FROM links l JOIN records r USING (record_id)")
        )
        assert [tuple(row) for row in link] == [("digest", "linked", "record", b"envelope")]


def test_without_accounts_names_of_who_was_signed_in_are_names_as_given(database: Database) -> None:
    insert = (
        "INSERT INTO approvals VALUES ('case', '1', {place}, sha256('{place}'), 'sealed', '{source}', 'sealed', now())"
    )
    with database.begin() as connection:
        connection.execute(text(insert.format(place=1, source="account")))
    downgrade(database, to="0018")
    with pytest.raises(IntegrityError), database.begin() as connection:
        connection.execute(text(insert.format(place=2, source="account")))
    migrate(database)
    with database.begin() as connection:
        assert connection.execute(text("SELECT name_source FROM approvals")).scalar_one() == "as_given"
        connection.execute(text(insert.format(place=2, source="account")))


def test_the_newest_version_can_be_taken_back_with_the_records(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO terminals (terminal_id, area, signing_key, sealing_key, registered_at)"
                " VALUES ('t-1', 'east', '{}', '{}', now())"
            )
        )
        connection.execute(
            text("INSERT INTO links VALUES ('r', 'digest', 't-1', 1, NULL, 'gap', 'record', 'envelope', now())")
        )
        connection.execute(
            text(
                "INSERT INTO records (record_id, terminal_id, counter, session_id, claim_token, outcome, payload,"
                " received_at, latest, event_at, flags) VALUES ('r', 't-1', 1, 's', 'token', 'certified', '{}', now(), now(), now(), '[]')"
            )
        )
    downgrade(database, to="0003")
    with database.begin() as connection:
        row = connection.execute(text("SELECT sha256, chain, envelope FROM records")).one()
        assert tuple(row) == ("digest", "gap", b"envelope")
    migrate(database)


def test_a_database_that_does_not_answer_is_unavailable() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(DatabaseUnavailable):
        database.check()
    with pytest.raises(DatabaseUnavailable), database.listen("x"):
        pass
    database.close()


def test_closing_waits_for_what_is_under_way_and_lets_nothing_begin(
    database: Database, database_url: str, eventually: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_store, "_CLOSE_S", 60.0)
    begun, may_end = threading.Event(), threading.Event()

    def works() -> None:
        with database.begin() as connection:
            connection.execute(text("SELECT 1"))
            begun.set()
            assert may_end.wait(20)

    worker, closer = threading.Thread(target=works), threading.Thread(target=database.close)
    worker.start()
    assert begun.wait(20)
    closer.start()

    def is_refused() -> bool:
        try:
            database.check()
        except DatabaseUnavailable as error:
            return str(error) == "database: closed"
        return False

    eventually(is_refused)
    assert closer.is_alive()
    may_end.set()
    worker.join()
    closer.join()
    database.close()
    with closing(Database(database_url)) as other:

        def is_alone() -> bool:
            with other.begin() as connection:
                ours = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                return bool(connection.execute(text(ours)).scalar_one() == 1)

        eventually(is_alone, "the end of the sessions, a moment after that of their connections")


def test_every_transaction_is_bounded_and_its_commit_is_on_the_disk(database: Database) -> None:
    with database.begin() as connection:
        found = {
            name: connection.execute(text(f"SHOW {name}")).scalar_one()
            for name in ("statement_timeout", "lock_timeout", "synchronous_commit", "transaction_isolation", "TimeZone")
        }
    assert found == {
        "statement_timeout": "2min",
        "lock_timeout": "30s",
        "synchronous_commit": "on",
        "transaction_isolation": "read committed",
        "TimeZone": "UTC",
    }


def test_an_error_does_not_repeat_the_parameters(database: Database) -> None:
    with pytest.raises(DataError) as caught, database.begin() as connection:
        connection.execute(text("SELECT CAST(:secret AS int)"), {"secret": "hidden"})
    assert "[SQL parameters hidden" in str(caught.value)
