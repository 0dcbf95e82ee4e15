# Two commands do all the set-up on a fresh Debian 12 with root (or sudo), git, make and Python:
#   make lab     the main job, live: a real Open vSwitch with small VMs, and Sekisho watching them
#   make check   lint, types, import contracts, all tests
# and two more: make lab-openstack, a real OpenStack with two hosts to look around in, and
# make lab-switches, a pair of emulated Nexus switches to try changes on.
# LAB_ARGS and BENCH_ARGS are passed on, for example: make lab LAB_ARGS="--scenario mixed --headless --json"

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TEST_WORKERS ?= 3
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
# gcc builds the collector's compiled core
APT_LAB := openvswitch-switch iproute2 ethtool iperf3 procps python3-venv gcc libc6-dev
APT_CHECK := $(APT_LAB) tshark valgrind frr libyang2-tools keepalived
# gcc and Python's headers build uwsgi, which comes as source
# a browser for the console's tests, and letters for its Japanese
APT_CONSOLE := chromium fonts-noto-cjk
APT_OPENSTACK := $(APT_LAB) mariadb-server rabbitmq-server build-essential python3-dev iputils-ping
# a virtual machine with a kernel that has IPVS, and what runs in it; the measurement needs nftables too
APT_IPVS := $(APT_LAB) qemu-system-x86 busybox-static kmod keepalived nftables
# whom the collector is measured against
APT_BENCH := $(APT_LAB) nfdump pmacct fastnetmon
# tests and programs find the sbin tools even in a user's shell
export PATH := $(PATH):/usr/sbin:/sbin

.PHONY: lab check fmt lint types contracts test coverage apt-lab apt-check lock bench-collector bench-switch clean help \
  apt-openstack apt-ipvs lab-openstack lab-switches check-openstack check-octavia check-nexus check-ipvs \
  check-stacks check-others \
  bench-balancer \
  apt-console check-console bench-archive \
  apt-bench soak-collector figures-collector

help:
	@sed -n '1,7s/^# \{0,1\}//p' Makefile

# --- set-up: each step leaves a stamp and says what it does -----------------------------------

define install_apt
	@missing=""; for p in $(1); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	  echo "make: installing Debian packages:$$missing"; \
	  policy=/usr/sbin/policy-rc.d; made=; \
	  if [ ! -e $$policy ]; then printf '#!/bin/sh\nexit 101\n' | $(SUDO) tee $$policy >/dev/null; $(SUDO) chmod +x $$policy; made=1; fi; \
	  $(SUDO) apt-get update -q </dev/null >/dev/null && \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing </dev/null >/dev/null; rc=$$?; \
	  if [ -n "$$made" ]; then $(SUDO) rm -f $$policy; fi; exit $$rc; \
	fi
endef

apt-lab:
	$(call install_apt,$(APT_LAB))

apt-check:
	$(call install_apt,$(APT_CHECK))

apt-console:
	$(call install_apt,$(APT_CONSOLE))

apt-bench:
	$(call install_apt,$(APT_BENCH))

apt-openstack:
	$(call install_apt,$(APT_OPENSTACK))

apt-ipvs:
	$(call install_apt,$(APT_IPVS))

# Debian's newest kernel, unpacked and never installed; apt checks its signature.
.make/kernel/.installed: | apt-ipvs
	@rm -rf .make/kernel && mkdir -p .make/kernel/root
	@find_image() { apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9]\)/\1/p' | head -1; }; \
	image=$$(find_image); [ -n "$$image" ] || { $(SUDO) apt-get update -q </dev/null >/dev/null; image=$$(find_image); }; \
	[ -n "$$image" ] || { echo "make: apt knows no linux-image-amd64; its kernel is for amd64 alone"; exit 1; }; \
	echo "make: unpacking Debian's $$image into .make/kernel"; cd .make/kernel && \
	load() { apt-get download -q -o APT::Sandbox::User=root "$$image" >/dev/null; } && \
	{ load || { $(SUDO) apt-get update -q </dev/null >/dev/null && load; }; } && \
	dpkg-deb -x linux-image-*.deb root && rm linux-image-*.deb && depmod -b $$PWD/root "$${image#linux-image-}"
	@touch $@

# requirements.lock runs the product, requirements-dev.lock also checks it; both are hashed and whole, so nothing
# is resolved here (--no-deps): a release that came after the lock cannot get in the way.
$(VENV)/.run: requirements.lock pyproject.toml | apt-lab
	@echo "make: installing Python packages from requirements.lock into $(VENV)"
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# What the collector does a row at a time; it is pure Python, and slower, where this fails.
$(VENV)/.core: $(wildcard src/sekisho/native/*.[ch]) src/sekisho/native/build.py | $(VENV)/.run
	@$(BIN)/python src/sekisho/native/build.py
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run | apt-check
	@echo "make: installing Python packages from requirements-dev.lock into $(VENV)"
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.lock
	@$(BIN)/pip check -q --disable-pip-version-check
	@touch $@

# OpenStack's own packages, in environments of their own. Sekisho stands beside Neutron's as a guest does, with nothing
# it needs itself.
OPENSTACK := .make/openstack .make/gnocchi
.make/%/.installed: requirements-%.lock | apt-openstack
	@echo "make: installing Python packages from $< into .make/$*"
	@[ -x .make/$*/bin/python ] || $(PYTHON) -m venv .make/$*
	@.make/$*/bin/pip install -q --disable-pip-version-check --require-hashes --no-deps -r $<
	@.make/$*/bin/pip check -q --disable-pip-version-check
	@touch $@

# Other people's tools, which judge the emulated switches; they need none of OpenStack's packages.
.make/peers/.installed: requirements-peers.lock | apt-lab
	@echo "make: installing Python packages from $< into .make/peers"
	@[ -x .make/peers/bin/python ] || $(PYTHON) -m venv .make/peers
	@.make/peers/bin/pip install -q --disable-pip-version-check --require-hashes --no-deps -r $<
	@touch $@

.make/%/.guests: pyproject.toml .make/%/.installed
	@.make/$*/bin/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# --- the two commands --------------------------------------------------------------------------

lab: $(VENV)/.run $(VENV)/.core
	@$(SUDO) $(BIN)/sekisho lab $(LAB_ARGS)

lab-openstack: $(VENV)/.run $(OPENSTACK:%=%/.installed) .make/openstack/.guests
	@$(SUDO) $(BIN)/sekisho lab openstack $(LAB_ARGS)

lab-switches: $(VENV)/.run
	@$(BIN)/sekisho lab switches $(LAB_ARGS)

check: lint types contracts test check-console check-peers check-stacks

# --- their parts -------------------------------------------------------------------------------

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.dev
	$(BIN)/mypy

contracts: $(VENV)/.dev
	$(BIN)/lint-imports --no-cache

# Side by side, a file to a worker: no two share a switch, a folder or a port. Those that promise moments to
# customers come after the others, which would keep the machine busy under them.
PYTEST = $(SUDO) .ci/tests $(BIN)/pytest --ignore=tests/openstack --ignore=tests/octavia --ignore=tests/peers --ignore=tests/ipvs \
  --ignore=tests/console -n $(TEST_WORKERS) --dist loadfile
TIMED := tests/e2e tests/integration/vswitch tests/contract/test_vswitch_real.py
test: $(VENV)/.dev $(VENV)/.core
	$(PYTEST) $(TIMED:%=--ignore=%) $(TEST_ARGS)
	$(PYTEST) $(TIMED) $(TEST_ARGS)

# Which lines the tests of `test` never run; watching each line takes two to three times as long.
coverage: $(VENV)/.dev $(VENV)/.core
	$(PYTEST) --cov --cov-report= $(TIMED:%=--ignore=%) $(TEST_ARGS)
	$(PYTEST) --cov --cov-append --cov-report=term $(TIMED) $(TEST_ARGS)

# napalm, netmiko and Ansible against the emulated switches.
check-peers: $(VENV)/.dev .make/peers/.installed
	.ci/tests $(BIN)/pytest tests/peers --durations=5 $(TEST_ARGS)

# The kernel's own IPVS and keepalived, in a virtual machine by software emulation: nothing of it is here.
check-ipvs: $(VENV)/.dev .make/kernel/.installed
	.ci/tests $(BIN)/pytest tests/ipvs --durations=10 $(TEST_ARGS)

# A real browser on every page of the console.
check-console: $(VENV)/.dev | apt-console
	$(SUDO) .ci/tests $(BIN)/pytest tests/console --durations=5 $(TEST_ARGS)

# One OpenStack for all of them, so one after another; the longest part of `check`.
check-openstack: $(VENV)/.dev $(OPENSTACK:%=%/.installed) .make/openstack/.guests
	$(SUDO) .ci/tests $(BIN)/pytest tests/openstack --durations=10 $(TEST_ARGS)

# One Octavia for all of them, with both providers.
check-octavia: $(VENV)/.dev .make/octavia/.installed .make/octavia/.guests
	$(SUDO) .ci/tests $(BIN)/pytest tests/octavia --durations=10 $(TEST_ARGS)

# The longest parts side by side: each waits for its own processes most of the time, and takes about one core. All is
# installed before, for apt and pip do not share.
check-stacks: $(VENV)/.dev $(VENV)/.core $(OPENSTACK:%=%/.installed) .make/openstack/.guests .make/octavia/.installed \
  .make/octavia/.guests .make/kernel/.installed
	@$(MAKE) --no-print-directory -j2 -O check-openstack check-others

check-others:
	@$(MAKE) --no-print-directory check-ipvs
	@$(MAKE) --no-print-directory check-octavia

# A real Nexus on which nothing matters: see docs/explanation/nexus-proven-on.md.
check-nexus: $(VENV)/.dev
	@[ -n "$(HOST)" ] && [ -n "$(PASSWORD_FILE)" ] || \
	  { echo "make check-nexus HOST=address PASSWORD_FILE=path [NEXUS_USER=admin] [CA_FILE=path] [VERIFY=no] [TRANSPORT=nxapi|ssh]"; exit 2; }
	@NEXUS_HOST="$(HOST)" NEXUS_PASSWORD_FILE="$(PASSWORD_FILE)" NEXUS_USER="$(or $(NEXUS_USER),admin)" \
	  NEXUS_CA_FILE="$(CA_FILE)" NEXUS_VERIFY="$(or $(VERIFY),yes)" $(if $(TRANSPORT),NEXUS_TRANSPORT="$(TRANSPORT)") \
	  $(BIN)/pytest tests/integration/nexus/test_real.py $(TEST_ARGS)

fmt: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench-archive: $(VENV)/.run
	@$(BIN)/python bench/archive.py $(BENCH_ARGS)

bench-collector: $(VENV)/.run $(VENV)/.core | apt-bench
	@$(BIN)/python bench/collector.py $(BENCH_ARGS)

# Ten minutes of it at a share of what it takes, then overload, delay, memory and the tick.
soak-collector: $(VENV)/.run $(VENV)/.core
	@$(BIN)/python bench/soak.py $(BENCH_ARGS)

# All that docs/reference/performance.md says of the collector, on a machine that has nothing else to do: half an hour.
figures-collector: $(VENV)/.dev $(VENV)/.core | apt-bench
	@echo "--- as fast as each takes it, millions of records a second and core" && $(BIN)/python bench/collector.py
	@echo "--- the same, everybody at the same 5,000 datagrams a second" && $(BIN)/python bench/collector.py --pace 5000
	@echo "--- soak" && $(BIN)/python bench/soak.py
	@echo "--- instructions a record" && $(BIN)/python bench/instructions.py --write
	@$(BIN)/python bench/flame.py docs/reference/collector-flame.svg

bench-switch: $(VENV)/.run
	@$(BIN)/python bench/switch.py $(BENCH_ARGS)

bench-balancer: $(VENV)/.run .make/kernel/.installed
	@$(BIN)/python bench/balancer.py $(BENCH_ARGS)

# Write the lock files anew; they name no index, no mirror and no path.
lock:
	$(PYTHON) -m venv .make/lock && .make/lock/bin/pip install -q pip-tools
	for f in "requirements.lock" "requirements-dev.lock --extra=dev"; do set -- $$f; \
	  env -u PIP_FIND_LINKS PIP_CONFIG_FILE=/dev/null CUSTOM_COMPILE_COMMAND="make lock" .make/lock/bin/pip-compile -q --generate-hashes \
	  --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-annotate \
	  --extra=collector --extra=agent --extra=keeper --extra=cli --extra=settings --extra=openstack --extra=switches --extra=adx --extra=archive --extra=console --extra=notify --extra=logs --extra=build -o $$1 "$${@:2}" pyproject.toml; done
	for name in openstack gnocchi octavia peers; do \
	  env -u PIP_FIND_LINKS PIP_CONFIG_FILE=/dev/null CUSTOM_COMPILE_COMMAND="make lock" .make/lock/bin/pip-compile -q --generate-hashes \
	  --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-annotate \
	  -o requirements-$$name.lock requirements-$$name.in; done

clean:
	rm -rf $(VENV) .make dist .coverage htmlcov .mypy_cache .ruff_cache .pytest_cache .hypothesis
