# Short commands for CMake. Each installs the Debian packages it needs and then runs.
FUZZ_SECONDS ?= 60
JOBS ?= $(shell nproc 2>/dev/null || echo 2)

PACKAGES_build = cmake ninja-build gcc pkg-config libc6-dev libssl-dev libuv1-dev libpopt-dev \
	libinih-dev libjansson-dev libcmocka-dev libusb-1.0-0-dev \
	libmosquitto-dev scdoc git make
PACKAGES_demo = gcc-riscv64-unknown-elf gdb-multiarch gdbserver qemu-system-misc python3 socat \
	mosquitto mosquitto-clients openssl
PACKAGES_fuzz = clang libclang-rt-14-dev llvm
PACKAGES_bench = gcc-arm-none-eabi
PACKAGES_check = g++ zsh gcc-arm-none-eabi clang clang-format-16 clang-tidy cppcheck
PACKAGES_portable = gcc-i686-linux-gnu gcc-s390x-linux-gnu libc6-dev-i386-cross \
	libc6-dev-s390x-cross qemu-user dpkg-dev cmake ninja-build
PACKAGES_links = mosquitto qemu-system-x86 busybox-static cpio kmod util-linux openssl
PACKAGES_bench_links = $(PACKAGES_links) openssh-server openssh-client stunnel4

# $(call install,packages): installs missing packages. Prints nothing if none is missing, and does
# nothing without dpkg. Build directories are configured again afterwards, so that they find the
# packages.
define install
@command -v dpkg-query >/dev/null 2>&1 || exit 0; \
missing=; \
for package in $(1); do \
	dpkg-query -W -f '$${db:Status-Status}\n' $$package 2>/dev/null | grep -qx installed || \
		missing="$$missing $$package"; \
done; \
[ -n "$$missing" ] || exit 0; \
echo "installing:$$missing"; \
root=; \
if [ "$$(id -u)" != 0 ] && command -v sudo >/dev/null 2>&1; then root=sudo; fi; \
$$root apt-get update && \
$$root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$missing && \
rm -f build/build.ninja build-*/build.ninja
endef

# $(call compile,preset,directory)
define compile
@[ -f $(2)/build.ninja ] || cmake --preset $(1)
@ninja -C $(2) --quiet
endef

.PHONY: all build install check fuzz deps deps-demo deps-check deps-fuzz deps-bench deps-links deps-bench-links format format-check house lint build-clang clean

all: build

build: deps
	$(call compile,default,build)

# make install PREFIX=/usr DESTDIR=/tmp/stage: installs the command, its man pages and the
# libraries.
PREFIX ?= /usr/local
install: build
	@cmake --install build --prefix "$(PREFIX)"

# Fast checks come first: format, the rules of the house, linters, a second compiler. Then all tests
# run with the sanitizers, and the scripts also with the optimised program that users run.
check: deps deps-demo deps-check
	@$(MAKE) --no-print-directory format-check
	@$(MAKE) --no-print-directory house
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory build-clang
	$(call compile,sanitize,build-asan)
	@failed=0; \
	ctest --test-dir build-asan -j $(JOBS) -LE house --output-on-failure --no-tests=error \
		-O "$(CURDIR)/build-asan/check.log" || failed=1; \
	ctest --test-dir build -j $(JOBS) -L e2e -E "^e2e[.]links[.]" --output-on-failure --no-tests=ignore \
		-O "$(CURDIR)/build/check.log" || failed=1; \
	for dir in build-asan build; do \
		echo; echo "== $$dir"; \
		sed -n '/tests passed/,$$p; /^No tests were found/p' $$dir/check.log; \
	done; \
	exit $$failed

# Runs every tests/links/heavy_*.sh. LINKS="table usb" runs only these. SKIP_LINKS="pcie" skips
# these, for machines that lack what they need.
LINKS ?=
.PHONY: check-links
check-links: deps deps-demo deps-links
	$(call compile,default,build)
	@POSTERN="$(CURDIR)/build/postern" BUILD="$(CURDIR)/build" SRC="$(CURDIR)" \
		bash tests/links/run_heavy.sh $(LINKS)

# Runs the unit tests of all code that needs no library, for i386 and s390x (big-endian), under
# qemu-user. ARCHITECTURES="s390x" runs only that one.
ARCHITECTURES ?=
.PHONY: check-portable
check-portable: deps-portable
	@JOBS=$(JOBS) bash tests/portable/run.sh build/portable $(ARCHITECTURES)

# Runs each fuzz target for FUZZ_SECONDS. New inputs go to build-fuzz/corpus, crashes to
# build-fuzz/crashes.
fuzz: deps deps-fuzz
	$(call compile,fuzz,build-fuzz)
	@failed=; ran=0; \
	for program in build-fuzz/tests/fuzz_*; do \
		[ -x "$$program" ] || continue; \
		ran=$$((ran + 1)); \
		name=$${program##*/fuzz_}; \
		dirs="build-fuzz/corpus/$$name"; \
		mkdir -p $$dirs build-fuzz/crashes; \
		for kind in corpus regress; do \
			if [ -d tests/fuzz/$$kind/$$name ]; then dirs="$$dirs tests/fuzz/$$kind/$$name"; fi; \
		done; \
		echo "== fuzz_$$name, $(FUZZ_SECONDS) s"; \
		$$program -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 -verbosity=0 \
			-artifact_prefix=build-fuzz/crashes/$$name- $$dirs || failed="$$failed $$name"; \
	done; \
	echo "$$ran fuzz targets, failed:$${failed:- none}"; \
	[ -z "$$failed" ] && [ $$ran -gt 0 ]

ifneq ($(wildcard examples/demo.sh),)
.PHONY: demo
demo: deps deps-demo
	$(call compile,default,build)
	@POSTERN="$(CURDIR)/build/postern" BUILD="$(CURDIR)/build" SRC="$(CURDIR)" bash examples/demo.sh
endif

ifneq ($(wildcard bench/run.sh),)
.PHONY: bench
bench: deps deps-demo deps-bench
	$(call compile,release,build-release)
	@POSTERN="$(CURDIR)/build-release/postern" BUILD="$(CURDIR)/build-release" SRC="$(CURDIR)" \
		bash bench/run.sh

.PHONY: bench-links
bench-links: deps deps-demo deps-bench-links
	$(call compile,release,build-release)
	@POSTERN="$(CURDIR)/build-release/postern" BUILD="$(CURDIR)/build-release" SRC="$(CURDIR)" \
		python3 bench/links/run.py
endif

deps:
	$(call install,$(PACKAGES_build))

deps-demo:
	$(call install,$(PACKAGES_demo))

deps-check:
	$(call install,$(PACKAGES_check))

deps-fuzz:
	$(call install,$(PACKAGES_fuzz))

deps-bench:
	$(call install,$(PACKAGES_bench))

deps-portable:
	$(call install,$(PACKAGES_portable))

deps-links:
	$(call install,$(PACKAGES_links))

deps-bench-links:
	$(call install,$(PACKAGES_bench_links))

format: deps-check
	@git ls-files -z '*.c' '*.h' | xargs -0 clang-format-16 -i

format-check: deps-check
	@git ls-files -z '*.c' '*.h' | xargs -0 clang-format-16 --dry-run --Werror

# Runs clang-tidy with the checks of .clang-tidy, and cppcheck. Every finding is an error. Files
# that have not changed since the last run are skipped.
lint: deps deps-check
	$(call compile,default,build)
	@ninja -C build --quiet -k 0 -j $(JOBS) cppcheck tidy

# Checks the rules of the house, and builds the core for processors without an operating system.
house: deps deps-demo deps-check
	$(call compile,default,build)
	@ctest --test-dir build -j $(JOBS) -L house --output-on-failure --no-tests=error --quiet

# Builds everything with clang too. `build` uses the default compiler.
build-clang: deps deps-check
	$(call compile,clang,build-clang)

clean:
	rm -rf build build-asan build-clang build-fuzz build-release build-cortex-m3 build-rv32
