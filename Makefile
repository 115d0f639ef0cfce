# What a developer, a curious user and CI call. Needs Rust, a C compiler and Debian's apt; installs the rest.

CARGO_DENY := 0.20.2
HOST := $(shell rustc -vV | sed -n 's/^host: //p')
BUILDER := target/$(HOST)/release/builder
DEMO := target/demo
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
DEMO_PACKAGES := busybox-static $(if $(SUDO),uidmap)
PACKAGES := $(shell sed 's/\#.*//' packages.txt)

# The tests become users of every kind, mount, and fill disks: they run as root, but cargo does not.
ifneq ($(SUDO),)
export CARGO_TARGET_$(shell echo $(HOST) | tr a-z- A-Z_)_RUNNER := $(SUDO) --preserve-env env PATH=$(PATH)
endif

.PHONY: help
help:
	@echo "make demo   build the demo image into $(DEMO)/image and print its digest"
	@echo "make test   install what is missing and run every check and test"
	@echo "make check  format, lints and documentation only"

# Installs those of the packages that are missing; asks the network only if there are any.
define install
	@missing=$$(for name in $(1); do dpkg-query -W -f='$${Status}' $$name 2>/dev/null | grep -q 'ok installed' || echo $$name; done); \
	if [ -n "$$missing" ]; then \
	  echo installing $$missing; \
	  $(SUDO) apt-get update -qq && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing >/dev/null; \
	fi
endef

.PHONY: demo
demo:
	$(call install,$(DEMO_PACKAGES))
	cargo build --locked --release --bin builder
	@mkdir -p $(DEMO)
	$(BUILDER) build --root $(DEMO)/store --source-date-epoch 0 -t localhost/demo-base:1 \
	  -f fixtures/demo/base.Containerfile /bin >/dev/null
	$(BUILDER) build --root $(DEMO)/store --source-date-epoch 0 -t localhost/demo:1 \
	  -o type=oci,tar=false,dest=$(DEMO)/image --digest-file $(DEMO)/digest fixtures/demo >/dev/null
	@echo "demo image in $(DEMO)/image:" && cat $(DEMO)/digest && echo

.PHONY: packages tools
packages:
	$(call install,$(PACKAGES))

tools:
	@cargo deny --version 2>/dev/null | grep -q ' $(CARGO_DENY)$$' || cargo install --quiet --locked cargo-deny@$(CARGO_DENY)

.PHONY: check
check:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet

# The advisory database is a git repository of its own, which not every machine can reach.
.PHONY: deny
deny: tools
	cargo deny --locked --log-level error check bans licenses sources

.PHONY: test
test: packages
	$(MAKE) check
	cargo test --locked --workspace --no-fail-fast
	$(MAKE) deny
