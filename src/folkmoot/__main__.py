"""`python -m folkmoot`."""

from folkmoot.cli import main

main()
