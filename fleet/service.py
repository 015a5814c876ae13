"""Composition of the running service: embedded broker, ingest, console, open interface and webhooks.

Apart from `fleet.app`, so that short commands do not load web and MQTT libraries.
"""

from __future__ import annotations

import gc
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import uvicorn
from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware

from fleet.api.access import Office
from fleet.api.interface import add_interface
from fleet.api.problems import problem_response
from fleet.api.provisioning import provisioning_app
from fleet.api.receipts import receipts_router
from fleet.app import Fleet, account_rules, after_reports, look_at_reports_since, make_handler
from fleet.broker import EmbeddedBroker
from fleet.errors import AuthorityEnded, FleetError, KeysMissing
from fleet.ingest.consumer import Consumer
from fleet.ingest.expelling import expel
from fleet.partners.delivery import Courier
from fleet.pki.broker import server_files, write_server
from fleet.pki.files import load_authority
from fleet.pki.keeper import Keeper
from fleet.pki.renewing import DOOR, Renewals, broker_certificate, door_certificate
from fleet.reminders.setup import callback_keys
from fleet.updates.desired import door_of
from fleet.updates.driver import RolloutDriver
from fleet.web.console import Console, ConsolePart, make_console, with_headers
from fleet.web.pages import add_pages
from fleet.web.slip_page import slip_page, slip_router

logger = logging.getLogger(__name__)

Part = Literal["all", "ingest", "web"]
_WEB_START_S = 15.0


def console_of(fleet: Fleet) -> FastAPI:
    """Return the application of the console alone."""
    look_at_reports = partial(look_at_reports_since, fleet)
    rules = account_rules(fleet.settings)
    console = Console(
        fleet.database,
        fleet.keys,
        fleet.settings,
        fleet.clock,
        rules,
        look_at_reports,
        partial(after_reports, fleet),
    )
    return make_console(console, add_pages)


def make_web(fleet: Fleet, *, broker_state: Callable[[], str], ingest_state: Callable[[], str]) -> FastAPI:
    """Return the application of the console and the open interface."""
    # The documentation pages of the framework load scripts from an outside host; the description itself is at /openapi.json.
    app = FastAPI(title="Lifecert fleet", docs_url=None, redoc_url=None)
    zone = fleet.settings.zone()
    app.add_middleware(ConsolePart, console=console_of(fleet))
    office = Office(fleet.database, fleet.keys, fleet.settings, fleet.clock, partial(look_at_reports_since, fleet))
    add_interface(app, office, broker_state=broker_state, ingest_state=ingest_state)
    app.include_router(receipts_router(fleet.database, callback_keys(fleet.settings), zone=zone, clock=fleet.clock))
    app.include_router(slip_router(slip_page(fleet.settings.fleet_id, fleet.keys.signing.public())))
    with_headers(app, fault=lambda: problem_response(500, "fault", "a fault of ours; it is written down"))
    # A page of another host in the same browser must not reach this one under a name of its own (DNS rebinding).
    app.add_middleware(
        TrustedHostMiddleware,
        allowed_hosts=[
            *("localhost", "127.0.0.1", "[::1]", fleet.settings.web.host),
            fleet.settings.console_host,
            *fleet.settings.api.public_names,
        ],
    )
    return app


class Service:
    """The running fleet: embedded broker, ingest and web, or some of them."""

    def __init__(self, fleet: Fleet, part: Part = "all") -> None:
        self._fleet = fleet
        self._broker: EmbeddedBroker | None = None
        self._consumer: Consumer | None = None
        self._web: WebServer | None = None
        self._webhooks: Courier | None = None
        self._door: WebServer | None = None
        self._keeper: Keeper | None = None
        self._rollouts: RolloutDriver | None = None
        settings = fleet.settings
        if part != "web":
            if settings.broker.mode == "embedded":
                self._broker = EmbeddedBroker(settings.broker.host, settings.broker.port)
            self._consumer = make_consumer(fleet)
        if part != "ingest":
            app = make_web(fleet, broker_state=self._broker_state, ingest_state=self._ingest_state)
            self._web = WebServer(app, settings.web.host, settings.web.port, proxies=settings.api.proxies)
            self._webhooks = Courier(fleet.database, fleet.keys.cipher, settings.webhooks, clock=fleet.clock)
            if settings.provisioning.port is not None:
                self._door = make_door(fleet)
        if part != "web" and settings.provisioning.broker_dir is not None:
            self._keeper = make_keeper(fleet, settings.provisioning.broker_dir)
        if part != "web":
            self._rollouts = make_rollouts(fleet)
        self._renewals = make_renewals(fleet, part, keeper=self._keeper, door=self._door)

    def start(self) -> None:
        """Start all parts.

        Raises:
            FleetError: if one does not start; those that did are stopped again.
        """
        try:
            if self._broker:
                self._broker.start()
            if self._web:
                self._web.start()
            # Certificates before whoever connects with them.
            parts = (self._webhooks, self._door, self._renewals, self._keeper, self._rollouts, self._consumer)
            for each in parts:
                if each:
                    each.start()
        except FleetError:
            self.stop()
            raise
        leave_alone()

    def wait_connected(self, timeout_s: float) -> bool:
        """Wait until ingest can receive; return False if the time runs out."""
        return self._consumer is None or self._consumer.wait_connected(timeout_s)

    def stop(self) -> None:
        """Stop all parts, the ones that take work first. Can be called twice."""
        takers = (self._consumer, self._rollouts, self._keeper, self._renewals)
        for each in (*takers, self._door, self._web, self._webhooks, self._broker):
            if each:
                each.stop()

    def _broker_state(self) -> str:
        if self._consumer is None:
            return "not run here"
        return "connected" if self._consumer.is_connected else "disconnected"

    def _ingest_state(self) -> str:
        if self._consumer is None:
            return "not run here"
        return "faulty" if self._consumer.is_faulty else "ok"


def make_consumer(fleet: Fleet) -> Consumer:
    """Return an ingest worker."""
    settings = fleet.settings
    return Consumer(
        make_handler(fleet),
        fleet.database,
        settings.broker,
        fleet_id=settings.fleet_id,
        client_id=settings.ingest_client_id,
        clock=fleet.clock,
    )


def make_door(fleet: Fleet) -> WebServer:
    """Return the door for new terminals, with a new certificate of the fleet's own authority.

    With the one before where that authority has ended: nobody comes in by it, and whoever has to see to that needs the console.

    Raises:
        KeysMissing: if there is no authority.
        FleetError: if the certificate cannot be written.
    """
    settings = fleet.settings.provisioning
    folder = fleet.settings.data_dir / "pki"
    issuing = load_authority(folder)
    app = provisioning_app(fleet.database, fleet.keys, fleet.settings, issuing, clock=fleet.clock)
    try:
        certificate = write_server(folder, DOOR, issuing, settings.names, now=fleet.clock())
    except AuthorityEnded as error:
        certificate = server_files(folder, DOOR)
        if not all(file.exists() for file in certificate):
            raise
        logger.error("door: %s", error)  # noqa: TRY400 - the message says all, a trace nothing
    except OSError as error:
        raise FleetError(f"{error.filename or folder}: {error.strerror}; the door needs a certificate there") from error
    return WebServer(app, settings.host, settings.port or 0, certificate=certificate)


def make_keeper(fleet: Fleet, folder: Path) -> Keeper:
    """Return what keeps the broker's revocation list.

    Raises:
        KeysMissing: if there is no authority.
    """
    issuing, broker = load_authority(fleet.settings.data_dir / "pki"), fleet.settings.broker

    def put_off(terminal_id: str) -> bool:
        try:
            return expel(terminal_id, issuing, broker, now=fleet.clock())
        except AuthorityEnded:
            # Said by the renewals. The broker lets nobody in; who is in stays so until it starts anew.
            return False

    return Keeper(fleet.database, issuing, folder, expel=put_off, clock=fleet.clock)


def make_renewals(fleet: Fleet, part: Part, *, keeper: Keeper | None, door: WebServer | None) -> Renewals:
    """Return what renews the certificates of the parts that run here.

    Args:
        fleet: whose.
        part: which parts run.
        keeper: has the broker read its files anew.
        door: shows the door's certificate.
    """
    settings = fleet.settings
    try:
        issuing = load_authority(settings.data_dir / "pki")
    except KeysMissing:
        issuing = None
    kept: dict[Path, Callable[[], None]] = {}
    if part != "web" and settings.broker.certificate_file is not None:
        # Nobody has to be told: the consumer reads it before each connection.
        kept[settings.broker.certificate_file] = lambda: None
    if keeper is not None and settings.provisioning.broker_dir is not None:
        kept[broker_certificate(settings.provisioning.broker_dir)] = keeper.write_anew
    if door is not None:
        kept[door_certificate(settings.data_dir)] = door.take_certificate
    return Renewals(kept, issuing, clock=fleet.clock)


def make_rollouts(fleet: Fleet) -> RolloutDriver:
    """Return what has roll-outs go on."""
    settings = fleet.settings
    return RolloutDriver(
        fleet.database,
        fleet.keys.cipher,
        door=door_of(settings.provisioning),
        zone=settings.zone(),
        clock=fleet.clock,
    )


def leave_alone() -> None:
    """Have what was made until now never gone through again for things to free: programs, models, templates, all of which stay.

    Else every so many answers one takes the time of going through all of it, a few tenths of a second where the processor is busy.
    """
    gc.collect()
    gc.freeze()


class WebServer:
    """Uvicorn in a thread, so that signals and order of stopping stay ours."""

    def __init__(
        self,
        app: FastAPI,
        host: str,
        port: int,
        *,
        proxies: Sequence[str] = (),
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._certificate = certificate
        self._newest: ssl.SSLContext | None = None
        chain, key = certificate or (None, None)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            ws="none",
            proxy_headers=bool(proxies),
            forwarded_allow_ips=list(proxies),
            ssl_certfile=chain,
            ssl_keyfile=key,
        )
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Bind and start; raises FleetError if the address is taken."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        # Named as TCP, so that asyncio sets TCP_NODELAY on what it accepts: without it every answer on a kept connection waits 40 ms.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((self._host, self._port))
        except OSError as error:
            listening.close()
            raise FleetError(f"console on {self._host}:{self._port} does not start: {error.strerror}") from error
        self._thread = threading.Thread(target=self._server.run, args=([listening],), name="web", daemon=True)
        self._thread.start()
        waited = threading.Event()
        for _ in range(int(_WEB_START_S / 0.02)):
            if self._server.started or not self._thread.is_alive():
                break
            waited.wait(0.02)
        if not self._server.started:
            raise FleetError(f"console on {self._host}:{self._port} does not start")
        if context := self._server.config.ssl:
            context.sni_callback = self._show_newest

    def take_certificate(self) -> None:
        """Show new connections what is in the certificate's files now; those that are open go on.

        Raises:
            OSError: if they cannot be read or do not fit; what was shown is shown still.
        """
        if self._certificate is not None:
            newest = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            newest.load_cert_chain(*self._certificate)
            self._newest = newest

    def _show_newest(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        # A context of its own, changed by a name: the one that the server's thread begins connections with is not written to meanwhile.
        if self._newest is not None:
            connection.context = self._newest

    def stop(self) -> None:
        """Answer what is open, then end; can be called twice."""
        if self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
            self._thread = None
