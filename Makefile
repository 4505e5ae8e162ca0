# One line per thing a person does here; `make help` prints them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV ?= .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.made-from-$(shell sha256sum pyproject.toml | cut -c1-12)
ARGS ?=

.PHONY: help
help: ## Say what each target does
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: apt-get install python3 python3-venv"; exit 1; }
	@python3 -c 'import ensurepip' 2>/dev/null || { echo "installing python3-venv"; apt-get update -qq && apt-get install -y -qq python3-venv; }
	@test ! -e $(VENV) -o -w $(VENV) || { echo "$(VENV) was made by another user, and is to be made anew: sudo chown -R $$USER $(VENV)"; exit 1; }
	@echo "making $(VENV) (about half a minute)"
	@test -x $(PY) || python3 -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@rm -f $(VENV)/.made-from-*; touch $@

.PHONY: venv
venv: $(STAMP) ## Make the virtual environment with everything the project needs

.PHONY: format
format: venv ## Format the code
	@$(VENV)/bin/ruff format . && $(VENV)/bin/ruff check --fix .

.PHONY: check
check: venv ## Format, lint, types, import layers and unit tests; under a minute
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/pytest -q -n auto

.PHONY: contract
contract: venv ## The same cases against fakes and real components: containerd, an API server (root, 2 min)
	@$(VENV)/bin/pytest -q tests/contract -n 3 --dist loadfile $(ARGS)

.PHONY: protos
protos: venv ## Generate the modules from cri_protos/*.proto and plugin_protos/*.proto
	@$(PY) -m grpc_tools.protoc -I. --python_out=. --grpc_python_out=. cri_protos/*.proto plugin_protos/*.proto \
	  --plugin=protoc-gen-mypy=$(VENV)/bin/protoc-gen-mypy --mypy_out=quiet:. \
	  --plugin=protoc-gen-mypy_grpc=$(VENV)/bin/protoc-gen-mypy_grpc --mypy_grpc_out=quiet:.

# The development cluster. NAME: which one; NODES: how many; ARGS: further arguments, such as ARGS="--node n2=genuine".
NAME ?= dev
NODES ?=
API_SERVERS ?=
BINARIES ?=
DEVCLUSTER = $(PY) -m devcluster --name $(NAME)

.PHONY: up
up: venv ## Bring up a genuine control plane and nodes that run our agents; ends with the Pods that answered (root)
	@$(DEVCLUSTER) up $(if $(NODES),--nodes $(NODES)) $(if $(API_SERVERS),--api-servers $(API_SERVERS)) $(if $(BINARIES),--binaries $(BINARIES)) $(ARGS)

.PHONY: down
down: venv ## Take the cluster away and leave nothing (root)
	@$(DEVCLUSTER) down $(ARGS)

.PHONY: status
status: venv ## What runs of the cluster, and how its nodes are (root)
	@$(DEVCLUSTER) status

.PHONY: kubectl
kubectl: venv ## kubectl for the cluster: make kubectl ARGS="get pods -A" (root)
	@$(DEVCLUSTER) kubectl $(ARGS)

.PHONY: logs
logs: venv ## The ends of the logs: make logs ARGS="n1 kubelet" (root)
	@$(DEVCLUSTER) logs $(ARGS)

.PHONY: node-shell
node-shell: venv ## A shell inside a node: make node-shell ARGS=n1 (root)
	@$(DEVCLUSTER) exec $(ARGS)

.PHONY: build
build: venv ## Fetch or build the genuine binaries of the cluster ahead of time; ARGS=--suite for the e2e suite's too
	@$(DEVCLUSTER) build $(ARGS)

.PHONY: test-devcluster
test-devcluster: venv ## Kill, swap, cut and remove a dev cluster, and look for anything left behind (root, 90 s)
	@$(VENV)/bin/pytest -q tests/machines/test_devcluster.py

# Tests that need a cluster run against the dev cluster NAME; kubectl reaches it through its own network namespace.
E2E_ENV = DEVCLUSTER=$(NAME) KUBECONFIG=/var/lib/devcluster/$(NAME)/kubeconfig/admin.conf KUBECTL=/var/lib/devcluster/$(NAME)/kubectl

.PHONY: e2e
e2e: venv ## The e2e tests against the dev cluster; ARGS for pytest, such as ARGS="-k crash" (root)
	@$(E2E_ENV) $(VENV)/bin/pytest $(or $(TESTS),tests/e2e) --timeout=600 $(ARGS)

.PHONY: bench-proxy
bench-proxy: venv ## pyproxy beside the genuine kube-proxy, alternating; the table and the plots of docs/benchmarks.md (root, 30 min)
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	@$(PY) -m tests.bench.proxy --docs docs $(ARGS)

# Faults by a seed, which plays the same again; SECONDS of them under load.
SEED ?=
SECONDS ?= 300

.PHONY: chaos-proxy
chaos-proxy: venv ## Kill pyproxy, cut it off, tamper with its tables under load: SEED= SECONDS=300 (root, 6 min)
	@$(PY) -m tests.chaos.proxy $(if $(SEED),--seed $(SEED)) --seconds $(SECONDS) $(ARGS)

# The upstream suite. FOCUS, SKIP: regular expressions on test names; PROCS: tests at once; COMPARE: another run's results.
FOCUS ?= \[Conformance\]
SKIP ?=
PROCS ?= 4
COMPARE ?=
RESULTS = build/conformance-$(NAME).tsv
SUITE = $(DEVCLUSTER) run --suite -- $(abspath $(PY)) tests/conformance/suite.py

.PHONY: conformance
conformance: venv ## The genuine conformance suite against the dev cluster: FOCUS= SKIP= PROCS=4 COMPARE=file.tsv (root)
	@$(SUITE) run --focus '$(FOCUS)' --skip '$(SKIP)' --procs $(PROCS) --serial --out $(RESULTS) --logs build/conformance-$(NAME) $(ARGS); \
	  result=$$?; $(if $(COMPARE),$(PY) tests/conformance/suite.py compare $(RESULTS) $(COMPARE);) exit $$result

.PHONY: conformance-smoke
conformance-smoke: venv ## The part of it that must always pass, in some minutes (root)
	@$(SUITE) run --names tests/conformance/smoke.txt --procs $(PROCS) --out build/smoke-$(NAME).tsv --logs build/smoke-$(NAME) $(ARGS)

.PHONY: test
test: venv ## Everything: checks, contract tests, e2e on a cluster of its own, a part of the genuine suite (root, 20 min)
	@tests/all

.PHONY: bench
bench: venv ## Pods on a node of ours, on one of the genuine kubelet's and through the CRI alone, alternating; docs/benchmarks.md (root, 15 min)
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	@$(PY) -m devcluster --name bench up --node n2=genuine --node n3=bare
	@$(PY) -m devcluster --name bench run -- $(abspath $(PY)) -m tests.bench.pods --cluster bench --docs docs $(ARGS); \
	  result=$$?; $(PY) -m devcluster --name bench down; exit $$result

# SEED: which storms; the same seed does the same again.
SEED ?= 1
MINUTES ?= 20
.PHONY: chaos
chaos: venv ## Storms over a node of the dev cluster NAME: Pods come and go while its parts are killed: SEED=1 MINUTES=20 (root)
	@$(PY) -m tests.chaos.storms --cluster $(NAME) --seed $(SEED) --minutes $(MINUTES)

.PHONY: bad-input
bad-input: venv ## 1,000 spoilt files and answers of each kind: never a crash, always a reason (5 min)
	@EXAMPLES=1000 $(VENV)/bin/pytest -q tests/unit/pykubelet/test_bad_input.py --timeout=600 $(ARGS)

.PHONY: wheels
wheels: venv ## Our wheel and those it needs, in build/wheels
	@rm -rf build/wheels; $(PY) -m pip wheel --quiet --disable-pip-version-check --wheel-dir build/wheels .

.PHONY: deb
deb: wheels ## The Debian package, build/pykubelet_VERSION_ARCH.deb: see docs/install.md
	@rm -f build/pykubelet_*.deb; $(PY) deploy/deb/build.py build/wheels build $(ARGS)

.PHONY: image
image: deb ## pyproxy's image and its DaemonSet, build/pyproxy-image.tar and build/pyproxy.yaml: see docs/install.md (root)
	@$(PY) -m deploy.pyproxy.image build/pykubelet_*.deb build

.PHONY: runtimes
runtimes: venv ## The CRI's contract and an e2e smoke with Debian's containerd 1.6, 2.3 and 2.4; a table at the end (root, 10 min)
	@$(PY) -m tests.runtimes $(ARGS)

.PHONY: crio
crio: venv ## The CRI's contract with CRI-O, built from its Go module the first time (root, 1 min, at first 5 more)
	@CRIO=1 $(VENV)/bin/pytest -q tests/contract/test_cri_*.py -k crio --timeout=60 $(ARGS)

.PHONY: machines
machines: ARGS :=
machines: deb ## Machines with systemd: package, genuine kubeadm, conversion and back, as the pages in docs/ say (root, 8 min)
	@$(VENV)/bin/pytest -v -x $(MACHINES) $(PYTEST)
MACHINES = $(addprefix tests/machines/,test_install.py test_kubeadm.py test_daemonset.py test_proxy_service.py \
  test_convert.py)
# Further arguments for pytest; ARGS would be those of what the package is made by.
PYTEST ?=

.PHONY: vm
vm: ARGS :=
vm: deb ## A QEMU guest with cgroup v2, the systemd driver, AppArmor, huge pages, NFS, swap and process ids: kubeadm join to reboot (root, 10 min)
	@$(VENV)/bin/pytest -v -x -s tests/vm/test_guest.py tests/vm/test_kernel.py $(PYTEST)

.PHONY: e2e-kind
e2e-kind: venv ## A cluster of kind whose worker is ours, the e2e tests against it, and away with it; as in docs/kind.md (root where no Docker answers, 4 min)
	@$(PY) -m tests.machines.kind -- $(ARGS)

.PHONY: e2e-vagrant
e2e-vagrant: ARGS :=
e2e-vagrant: deb ## Vagrant reads vagrant/Vagrantfile and makes nodes as docs/vagrant.md says, of machines with systemd (root, 3 min)
	@$(VENV)/bin/pytest -v tests/machines/test_vagrant.py $(PYTEST)

.PHONY: e2e-vagrant-libvirt
e2e-vagrant-libvirt: ARGS :=
e2e-vagrant-libvirt: deb ## `vagrant up` with libvirt: an emulated virtual machine joins, as docs/vagrant.md says (root, 8 min)
	@$(VENV)/bin/pytest -v -x -s tests/vm/test_vagrant_libvirt.py $(PYTEST)
