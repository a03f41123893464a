# The commands a user and a developer need. `make help` lists them.
SHELL := /bin/sh
TARGET := $(or $(CARGO_BUILD_TARGET),$(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p'))
BIN := target/$(TARGET)/release
export CARGO_BUILD_TARGET := $(TARGET)
# How often each branch of the interpreter is taken, for a compiler that can read the record (interp/profile).
PROFILE := $(wildcard $(CURDIR)/interp/profile/llvm-$(shell rustc -vV 2>/dev/null | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p').profdata)
TARGET_FLAGS := CARGO_TARGET_$(shell echo $(TARGET) | tr a-z- A-Z_)_RUSTFLAGS
PROFILED := $(if $(PROFILE),$(TARGET_FLAGS)="-C target-feature=+crt-static -C profile-use=$(PROFILE)")

.PHONY: help require build demo test lint fmt manual bench bench-check profile fuzz load layers vmtest dist deb install uninstall aarch64 ci clean

help: ## list these commands
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

require:
	@sh integration/require.sh

build: require ## build both binaries (static, optimised) below target/
	@# The interpreter by itself, as the profile was recorded: built with the others, its dependencies have more features,
	@# its functions other symbols, and none of the record would be found.
	$(PROFILED) cargo build --release --locked -p interp --bins
	$(PROFILED) cargo build --release --locked -p launcher -p integration --bins

demo: build ## run the tutorial's first program, confined (DEMO_WITHOUT=LAYER waives a layer by name)
	@REPY_BIN_DIR=$(BIN) sh integration/demo.sh

test: build ## run every test, with a time limit for each suite and a second run of those that failed
	@REPY_BIN_DIR=$(CURDIR)/$(BIN) bash integration/test.sh

lint: require ## compiler and clippy warnings are errors
	cargo clippy --locked --workspace --all-targets -- -D warnings

fmt: ## format the code (FMT_CHECK=1 only checks)
	cargo fmt --all $(if $(FMT_CHECK),-- --check)

manual: build ## write the manual pages and shell completions in docs/ anew
	mkdir -p docs/completions
	$(BIN)/repy-launch manual repy-launch > docs/repy-launch.1
	$(BIN)/repy-launch manual restrictions > docs/restrictions.5
	$(BIN)/repy-interp --manual repy-language > docs/repy-language.7
	$(BIN)/repy-interp --manual repy-api > docs/repy-api.3
	$(BIN)/repy-launch completions bash > docs/completions/repy-launch.bash
	$(BIN)/repy-launch completions zsh > docs/completions/_repy-launch
	$(BIN)/repy-launch completions fish > docs/completions/repy-launch.fish

bench: build ## print the benchmark tables (docs/benchmarks.md says how to read them)
	REPY_BIN_DIR=$(CURDIR)/$(BIN) sh integration/benches/run.sh

bench-check: build ## compare instruction counts of the language benchmarks with the stored ones
	REPY_BIN_DIR=$(CURDIR)/$(BIN) $(BIN)/bench_lang --check

profile: build ## record anew how often each branch of the interpreter is taken (interp/profile)
	sh integration/profile.sh

fuzz: require ## feed the parsers mutated input for FUZZ_SECONDS each (default 60)
	sh integration/fuzz.sh $(or $(FUZZ_SECONDS),60)

load: build ## start 200 sandboxes at once and keep 50 busy (LOAD_SANDBOXES=N LOAD_BUSY=N; needs root)
	REPY_BIN_DIR=$(CURDIR)/$(BIN) LOAD_SANDBOXES=$(or $(LOAD_SANDBOXES),200) LOAD_BUSY=$(or $(LOAD_BUSY),50) \
	  cargo test --locked -p integration --test load -- --nocapture

layers: build ## make docs/layers.md anew: every breach attempt against every layer (needs root)
	REPY_BIN_DIR=$(CURDIR)/$(BIN) REPY_LAYERS=write cargo test --locked -p integration --test layers

vmtest: build ## boot kernels in an emulator and test enforcement there (KERNELS="6.1 6.12 newest systemd")
	REPY_BIN_DIR=$(CURDIR)/$(BIN) sh integration/vm/run.sh $(KERNELS)

dist: build ## make a tarball with the static binaries, policies, examples and install.sh below target/dist
	@sh packaging/dist.sh $(BIN)

deb: build ## make a Debian package below target/deb
	@sh packaging/deb.sh $(BIN)

install: build ## install below PREFIX (default: /usr/local, or ~/.local for an ordinary user)
	@sh packaging/dist.sh $(BIN) target/install >/dev/null
	@sh target/install/repy-launch-*/install.sh $(if $(PREFIX),--prefix "$(PREFIX)")

uninstall: ## remove what `make install` with the same PREFIX put there
	@test -e target/install || { echo "nothing was installed from this directory (make install)" >&2; exit 1; }
	@sh target/install/repy-launch-*/install.sh --uninstall $(if $(PREFIX),--prefix "$(PREFIX)")

aarch64: require ## check that both programs compile for aarch64 (needs Rust's standard library for it)
	@sh integration/aarch64.sh

ci: ## what the project's CI runs
	bash .ci/run

clean: ## remove everything that was built
	cargo clean
