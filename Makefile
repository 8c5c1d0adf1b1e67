# The commands of the project. `make help` lists them; CI runs .ci/run.

# By convention *.yaml beside the code are amproxy's own files; what belongs to other programs ends in .yml.
ROUTES := $(wildcard *.yaml deploy/*.yaml docs/*.yaml)

# What must never be committed: hosts of package registries and folders of somebody's machine.
STRAY := (pypi[.]org|pythonhosted[.]org|npmjs[.]|(deb|security)[.]debian[.]org|(^|[^[:alnum:]_.])/(root|work|farm|opt/wheels|tmp/venv|home/[a-z]+|Users/[A-Za-z]+)/)

.DEFAULT_GOAL := help
.PHONY: help run test check check-files bench

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## set up what is missing and start amproxy with ./routes.yaml and a Redis of its own
	@sh tools/setup run
	@.venv/bin/amproxy serve --config routes.yaml --data-dir .data

# The tests start amproxy hundreds of times: where no byte code may be written, half of that time is the compiler's.
test: ## run every test, four at a time, real servers included (ARGS="-k name" runs just that)
	@sh tools/setup test
	@PYTHONDONTWRITEBYTECODE= .venv/bin/pytest $(or $(ARGS),-n 4)

check: ## formatting, lint, types, import contracts, every shipped file
	@sh tools/setup dev
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/python -m tools.conventions
	.venv/bin/vulture
	@$(MAKE) --no-print-directory check-files

check-files:
	@for file in $(ROUTES); do echo ".venv/bin/amproxy check $$file"; .venv/bin/amproxy check "$$file" || exit 1; done
	@git grep --untracked -nIE '$(STRAY)'; test $$? -eq 1 || { echo "check: the lines above name a registry or somebody's folder" >&2; exit 1; }

bench: ## the benchmarks of the README, beside their peers where installed
	@sh tools/setup dev
	@.venv/bin/python -m bench
