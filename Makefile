# `make run` and `make test` are all that a newcomer needs; `make help` lists the rest.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

# Builds outlive a checkout: dependencies are compiled once a machine.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/fenzhen-target
FENZHEN := $(CARGO_TARGET_DIR)/release/fenzhen
VENV := $(HOME)/.cache/fenzhen-venv

.PHONY: help run test build models train bench eval public crf web scale fmt lint doc deny snapshots clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s'|'

build: ## compile the program
	cargo build --release --locked --bin fenzhen

models: build ## fetch and verify the pretrained models (once; needs a network the first time)
	$(FENZHEN) models pull

run: models ## serve the demo shop on http://127.0.0.1:8080
	$(FENZHEN) serve --demo

test: models ## everything that needs no external server
	python3 tests/services.py $(REQUIRE) cargo test --release --locked
	python3 eval/peers/check_start_page.py
	$(FENZHEN) data validate

train: models ## train the shipped models anew (classifier, tagger, retrieval, then gate)
	$(FENZHEN) train classifier training/intent.toml
	$(FENZHEN) train ner training/ner.toml
	$(FENZHEN) train retrieval training/retrieval.toml
	cargo build --release --locked --bin fenzhen
	$(FENZHEN) train gate training/gate.toml
	$(FENZHEN) train linking training/linking.toml

eval: models ## figures of the shipped classifier, into eval/report, of the tagger and of what texts are compared by
	$(FENZHEN) eval intents --out eval/report
	$(FENZHEN) eval ner
	$(FENZHEN) eval retrieval

public: models ## train and measure on the public sets in DATA (hours on two cores; finished sets are kept)
	$(FENZHEN) eval public --data $(DATA)

$(VENV)/done: eval/peers/requirements.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

bench: models $(VENV)/done ## measure beside the peers and write benches/RESULTS.md
	$(VENV)/bin/python benches/run.py --fenzhen $(FENZHEN)

crf: $(VENV)/done ## the CRF baseline of the tagger on our sets and those in DATA
	$(VENV)/bin/python eval/peers/crf.py $(if $(DATA),--data $(DATA))

web: ## check the desk and prove that its built assets are those of its sources (needs Node.js)
	cd web/desk && npm ci --no-audit --no-fund && npm run check && npm run build
	git diff --exit-code --stat -- web/desk/dist
	@test -z "$$(git status --porcelain -- web/desk/dist)" || { echo "web/desk/dist is not what its sources make: commit the build"; exit 1; }

scale: models $(VENV)/done ## the embedded index beside hnswlib and bm25s, 200,000 invented tickets (TICKETS=1000000 takes half an hour)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check hnswlib bm25s numpy
	$(VENV)/bin/python benches/scale.py --fenzhen $(FENZHEN) --tickets $(or $(TICKETS),200000)

fmt: ## format the code
	cargo fmt

lint: ## format check and clippy
	cargo fmt --check
	cargo clippy --release --locked --all-targets -- -D warnings

doc: ## the library's documentation
	RUSTDOCFLAGS="-D warnings" cargo doc --release --locked --no-deps --lib

deny: ## licences, bans and sources of the dependencies (needs cargo-deny)
	cargo deny --locked check licenses bans sources

snapshots: ## rewrite docs/openapi.json and docs/errors.md from the code
	UPDATE_SNAPSHOTS=1 cargo test --release --locked --test it snapshots

clean: ## remove what `make run` left in this folder
	rm -rf fenzhen-data eval/report
