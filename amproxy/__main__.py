"""`python -m amproxy` is the same as the `amproxy` command."""

from amproxy.cli import main

main()
