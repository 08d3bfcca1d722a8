"""Run as: python -m muscle_core COMMAND."""

from muscle_core.cli import main

main()
